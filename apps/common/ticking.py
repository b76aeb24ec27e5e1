"""Runs a watcher's tick: once, or again and again in one process, because starting Python costs more than a tick."""

import math
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from structlog.stdlib import BoundLogger

from apps.common.end_signals import when_told
from apps.common.errors import BatonError
from apps.common.exposition import Figure


@dataclass
class TickRecord:
    """How the ticks of a process went, for whoever asks from another thread."""

    done: int = 0
    failed: int = 0
    last_done: float = field(default_factory=time.monotonic)

    def note(self, problem: str) -> None:
        """A tick came to its end; ``problem`` is what it lacked, if anything."""
        if problem:
            self.failed += 1
        else:
            self.done, self.last_done = self.done + 1, time.monotonic()

    def figures(self) -> Iterator[Figure]:
        """It as figures of now."""
        yield Figure("baton_watcher_ticks_total", self.done, {"outcome": "done"})
        yield Figure("baton_watcher_ticks_total", self.failed, {"outcome": "failed"})
        yield Figure("baton_watcher_tick_age_seconds", time.monotonic() - self.last_done)


def run(
    tick: Callable[[], None], period: float, log: BoundLogger, lasting: float = 0, record: TickRecord | None = None
) -> int:
    """
    Run ``tick`` once when ``period`` is 0, else each ``period`` seconds until SIGTERM or SIGINT; the exit code.

    ``lasting`` seconds later (0: never) it ends too, before a tick that would begin after that.

    What is missing for a tick is logged; a loop goes on with the next tick, and says the same thing once. How each went
    is noted in ``record``.
    """
    if period <= 0:
        return 1 if _try(tick, log, "") else 0
    stop = threading.Event()
    when_told(stop.set)
    log.info("watching", period=period)
    last_problem = ""
    end = time.monotonic() + lasting if lasting else math.inf
    while not stop.is_set() and time.monotonic() < end:
        due = time.monotonic() + period
        last_problem = _try(tick, log, last_problem)
        if record:
            record.note(last_problem)
        stop.wait(max(0.0, due - time.monotonic()))
    return 0


def _try(tick: Callable[[], None], log: BoundLogger, last_problem: str) -> str:
    try:
        tick()
    except BatonError as error:
        if str(error) != last_problem:
            log.error("the tick could not be finished", reason=str(error))  # noqa: TRY400 - its text says it all
        return str(error)
    if last_problem:
        log.info("ticking again")
    return ""
