"""``bench overload``: many times what is sustained for a while; what is lost, and how soon all is as before."""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.table import Table

from apps.common.waiting import pause
from loadtest.timing import RequestWait, latency, lateness
from loadtest.traffic import LiveLedger
from stack.cli.bench.bout import WARM_S
from stack.cli.bench.machine import machine, quantiles, tell
from stack.cli.bench.measured_stack import measured_stack
from stack.cli.bench.roll_outs import SMALL
from stack.cli.bench.up import memory_of
from stack.cli.console import step
from stack.cli.demo import Chronicle
from stack.cli.stack import Mode, Stack

USUAL = 100.0  # requests a second before and after it
BACK_MS = 100.0  # an answer that comes within it is one as before
AFTER = 3.0  # times as long as the overload: how long requests are sent behind it
SETTLE_S = 600
SAMPLED_S = 2


def overload(rate: float, seconds: float, *, as_json: bool) -> None:
    """Send the usual rate, then ``rate`` requests a second for ``seconds``, then the usual rate again."""
    before = machine()
    with measured_stack(Mode.EMBEDDED, **SMALL) as stack:
        pipeline = stack.pipeline()
        version = Chronicle(pipeline).cycle()
        ledger = LiveLedger(pipeline.environment, stack.state / "ledger")
        with step(f"{USUAL:g} requests/s"), ledger.traffic(USUAL):
            pause(WARM_S)
        with _highest_memory(stack) as highest:
            began = time.time()
            with step(f"{rate:g} requests/s for {seconds:g} s"), ledger.traffic(rate, settle=0):
                pause(seconds)
            ended = time.time()
            with step(f"{USUAL:g} requests/s behind it"), ledger.traffic(USUAL, settle=SETTLE_S):
                pause(AFTER * seconds)
        with step("figures"):
            verdict = ledger.verdict(pipeline.expected([version]))
    during = [wait for wait in verdict.waits if began <= wait.sent_at < ended]
    calm, back_s = _before(verdict.waits, began), back_after_s(verdict.waits, ended)
    late = lateness(send for send in ledger.sends() if began <= send.sent_at < ended)
    figures = {
        "rate": rate,
        "seconds": seconds,
        "sent_a_second": round(len(during) / (ended - began), 1),
        "acked": verdict.acked,
        "missing": len(verdict.missing),
        "wrong": len(verdict.wrong),
        "back_after_s": back_s,
        "highest_mib": highest,
    }
    table = Table("service", "highest MiB", box=None)
    for service, mib in highest.items():
        table.add_row(service, str(mib))
    waited = " / ".join(quantiles(latency(during)))
    back = "never while it was watched" if back_s is None else f"after {back_s:.1f} s"
    remark = (
        f"{figures['sent_a_second']} requests/s were acknowledged for {seconds:g} s; of {verdict.acked:,} acknowledged "
        f"in all {len(verdict.missing)} have no answer, and {len(verdict.wrong)} a wrong one; latency before "
        f"{' / '.join(quantiles(latency(calm)))} ms (p50 / p99 / worst), of those sent in it {waited} ms; behind it "
        f"every answer comes within {BACK_MS:g} ms {back}; the sender was late by {' / '.join(quantiles(late))} ms"
    )
    tell(figures, before, [table, remark], as_json=as_json)


def _before(waits: Sequence[RequestWait], began: float) -> list[RequestWait]:
    """Those of the last five seconds before it."""
    return [wait for wait in waits if began - 5 <= wait.sent_at < began]


def back_after_s(waits: Sequence[RequestWait], ended: float) -> float | None:
    """Seconds from ``ended`` until the last request was sent that waited for longer; None when it is the very last."""
    behind = sorted((wait for wait in waits if wait.sent_at >= ended), key=lambda wait: wait.sent_at)
    slow = [at for at, wait in enumerate(behind) if wait.ms is None or wait.ms > BACK_MS]
    if not slow:
        return 0.0
    return None if slow[-1] + 1 == len(behind) else behind[slow[-1]].sent_at - ended


@contextmanager
def _highest_memory(stack: Stack) -> Iterator[dict[str, int]]:
    """The most MiB that each service had while the block ran, of the moments that were looked at."""
    highest: dict[str, int] = {}
    over = threading.Event()

    def look() -> None:
        while not over.wait(SAMPLED_S):
            for service, mib in memory_of(stack).items():
                highest[service] = max(mib, highest.get(service, 0))

    looking = threading.Thread(target=look, daemon=True)
    looking.start()
    try:
        yield highest
    finally:
        over.set()
        looking.join()
