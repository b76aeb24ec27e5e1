"""``bench standby``: how long nobody answers when the server is killed or frozen, with a standby and without."""

import signal
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

import psutil
from rich.table import Table

from apps.common.waiting import pause, wait_until
from loadtest.timing import RequestWait, longest, silences
from loadtest.traffic import LiveLedger
from stack.cli.bench.bout import WARM_S
from stack.cli.bench.machine import machine, tell
from stack.cli.bench.roll_outs import SMALL
from stack.cli.console import step
from stack.cli.demo import Chronicle, stack_of_its_own
from stack.cli.stack import Mode, Stack

SERVER, STANDBY, STANDS_BY = "prediction-server", "standby", "standing by"
BACK_S = 300
CALM_S = 10
BROKEN = {"kill": signal.SIGKILL, "freeze": signal.SIGSTOP}


@dataclass(frozen=True)
class Outage:
    """What was done to the server's processes, and when; the longest silence of a partition after it, if any."""

    how: str
    at: float
    gap_ms: float | None = None


def standby(rate: float, count: int, *, wanted: bool, as_json: bool) -> None:
    """Kill the server ``count`` times under traffic, and freeze it as often."""
    before = machine()
    told = {**SMALL, "BATON_STANDBY": "on" if wanted else "off"}
    with stack_of_its_own("bench", "used_cars", None, Mode.EMBEDDED, **told) as stack:
        pipeline = stack.pipeline()
        Chronicle(pipeline).cycle()
        ledger = LiveLedger(pipeline.environment, stack.state / "ledger")
        with ledger.traffic(rate):
            pause(WARM_S)
            outages = [_broken(stack, how, number, wanted=wanted) for number in range(1, count + 1) for how in BROKEN]
        with step("figures"):
            verdict = ledger.verdict([])
            found = outage_figures(outages, verdict.waits)
    lost = {"acked": verdict.acked, "missing": len(verdict.missing), "repeats": verdict.repeats}
    remark = (
        f"{rate:g} requests/s, {'with' if wanted else 'without'} a standby; of {verdict.acked:,} acknowledged requests "
        f"{len(verdict.missing)} have no answer; answered twice: {verdict.repeats:,}"
    )
    figures = {"rate": rate, "standby": wanted, **lost, "outages": [asdict(one) for one in found]}
    tell(figures, before, [_table(found), remark], as_json=as_json)


def _broken(stack: Stack, how: str, number: int, *, wanted: bool) -> Outage:
    """Break the server, and wait until it is back and the standby stands by."""
    with step(f"{how} {number}"):
        if wanted:
            _wait_for_standby(stack)
        pid = _instance(stack)
        process = psutil.Process(pid)
        outage = Outage(how, time.time())
        for victim in [*process.children(recursive=True), process]:
            victim.send_signal(BROKEN[how])

        def back() -> bool:
            found = {one.service: one for one in stack.runtime.status()}[SERVER]
            return found.state == "ready" and bool(found.instances) and int(found.instances[0]) != pid

        wait_until(back, BACK_S, f"the server must be back; see {stack.log_of(SERVER)}")
        pause(CALM_S)
    return outage


def _instance(stack: Stack) -> int:
    return int(next(one for one in stack.runtime.status() if one.service == SERVER).instances[0])


def _wait_for_standby(stack: Stack) -> None:
    """Return when the last that the standby says of itself is that it stands by."""
    log = stack.state / "logs" / f"{STANDBY}.log"
    wait_until(lambda: stands_by(log), BACK_S, f"the standby must stand by; see {log}")


def stands_by(log: Path) -> bool:
    """Whether that is the last that a standby says of itself in its log."""
    lines = [line for line in log.read_text().splitlines() if f"app={STANDBY}" in line]
    return bool(lines) and STANDS_BY in lines[-1]


def outage_figures(outages: Sequence[Outage], waits: Sequence[RequestWait]) -> list[Outage]:
    """Each with the longest silence that began in it, or around its beginning, and before the next one."""
    ends = [outage.at for outage in outages[1:]] + [float("inf")]
    found = []
    for outage, until in zip(outages, ends, strict=True):
        near = [wait for wait in waits if outage.at - CALM_S <= wait.sent_at < until]
        gap = longest(one for one in silences(near, time.time()) if one.ended >= outage.at)
        found.append(Outage(outage.how, outage.at, gap.ms if gap else None))
    return found


def _table(found: Sequence[Outage]) -> Table:
    table = Table("", *(f"nobody answers after a {how}, s" for how in BROKEN), box=None)
    columns = [[one.gap_ms for one in found if one.how == how] for how in BROKEN]
    rows = list(zip(*columns, strict=True))
    for number, row in enumerate(rows, 1):
        table.add_row(str(number), *map(_seconds, row))
    for name, of in (("median", median), ("worst", max)):
        table.add_row(
            name, *(_seconds(of(values) if (values := [v for v in column if v]) else None) for column in columns)
        )
    return table


def _seconds(ms: float | None) -> str:
    return "-" if ms is None else f"{ms / 1000:.2f}"
