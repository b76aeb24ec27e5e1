"""One rate for a while, open loop, and what came of it: the same instrument for Baton and for whatever it is beside."""

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from apps.common.waiting import pause
from loadtest.timing import Latency, latency, lateness
from loadtest.traffic import LiveLedger
from stack.cli.console import step

BATON = "baton"
WARM_S = 15  # requests before those that are measured
SETTLE_S = 60  # how long answers are waited for that are still owed at the end


@dataclass(frozen=True)
class Bout:
    """
    What the requests that were sent after the warm-up met.

    ``late`` is how far behind its schedule the sender was, which no latency shows. ``answered_a_second`` and
    ``backlog`` (requests without an answer) are those of the bout's end, before what is owed was waited for.
    """

    who: str
    rate: float
    latency: Latency
    late: Latency
    answered_a_second: float
    backlog: int
    missing: int

    def figures(self) -> dict[str, Any]:
        """It for a program."""
        return {
            "who": self.who,
            "rate": self.rate,
            **asdict(self.latency),
            "sender_late": asdict(self.late),
            "answered_a_second": round(self.answered_a_second, 1),
            "backlog": self.backlog,
            "missing": self.missing,
        }


def measure(
    who: str,
    environment: Mapping[str, str],
    folder: Path,
    rate: float,
    seconds: float,
    *,
    warm_s: float = WARM_S,
    settle_s: float = SETTLE_S,
) -> Bout:
    """Send ``rate`` requests a second to the stack of ``environment``; its journals go to ``folder``."""
    ledger = LiveLedger(environment, folder)
    with step(f"{who}: {rate:g} requests/s for {seconds:g} s") as line:
        with ledger.traffic(rate, settle=settle_s):
            pause(warm_s)
            began = time.time()
            pause(seconds)
            ended = time.time()
        verdict = ledger.verdict([])
        asked = [wait for wait in verdict.waits if began <= wait.sent_at < ended]
        seen = [wait.answer.seen_at for wait in verdict.waits if wait.answer]
        bout = Bout(
            who=who,
            rate=rate,
            latency=latency(asked),
            late=lateness(send for send in ledger.sends() if began <= send.sent_at < ended),
            answered_a_second=sum(began <= moment < ended for moment in seen) / (ended - began),
            backlog=sum(wait.sent_at < ended for wait in verdict.waits) - sum(moment < ended for moment in seen),
            missing=len(verdict.missing),
        )
        line.update(f"{bout.answered_a_second:.0f} answers/s")
    return bout
