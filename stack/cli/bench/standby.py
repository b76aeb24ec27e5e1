"""``bench standby``: how long nobody answers when the server is killed or frozen, with a standby and without."""

import signal
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import median

import psutil
from rich.table import Table

from apps.common.errors import Unavailable
from apps.common.waiting import pause, wait_until
from loadtest.timing import RequestWait, longest, silences
from loadtest.traffic import LiveLedger
from stack.cli.bench.bout import WARM_S
from stack.cli.bench.machine import machine, tell
from stack.cli.bench.measured_stack import measured_stack
from stack.cli.bench.roll_outs import SMALL
from stack.cli.console import step
from stack.cli.demo import Chronicle
from stack.cli.stack import Mode, Stack
from stack.runtime import ServiceStatus

SERVER, STANDBY, STANDS_BY = "prediction-server", "standby", "standing by"
BACK_S = 300
CALM_S = 10
BROKEN = {"kill": signal.SIGKILL, "freeze": signal.SIGSTOP}
SEEN_LINES = 100  # of a standby's log


@dataclass(frozen=True)
class Outage:
    """What was done to the server's processes, and when; the longest silence of a partition after it, if any."""

    how: str
    at: float
    gap_ms: float | None = None


def standby(mode: Mode, rate: float, count: int, *, wanted: bool, as_json: bool) -> None:
    """Kill the server ``count`` times under traffic, and freeze it as often."""
    before = machine()
    told = {**SMALL, "BATON_STANDBY": "on" if wanted else "off"}
    with measured_stack(mode, **told) as stack:
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
            wait_until(lambda: stands_by(stack), BACK_S, "the standby must stand by; its log tells", every=1)
        before = _server(stack)
        outage = Outage(how, time.time())
        _break(stack, BROKEN[how])

        def back() -> bool:
            now = _server(stack)
            return now.is_up and (now.instances, now.restarts) != (before.instances, before.restarts)

        wait_until(back, BACK_S, lambda: f"the server must be back; got {_server(stack)}")
        pause(CALM_S)
    return outage


def _server(stack: Stack) -> ServiceStatus:
    return next(one for one in stack.runtime.status() if one.service == SERVER)


def _break(stack: Stack, number: signal.Signals) -> None:
    """Send a signal to every process of the server."""
    if stack.mode is Mode.CLUSTER:
        from apps.orchestrator.cluster import COMPONENT  # noqa: PLC0415 - a second to import
        from stack.cluster import containers  # noqa: PLC0415
        from stack.cluster.charts import NAMESPACE  # noqa: PLC0415
        from stack.cluster.kind_config import NAME  # noqa: PLC0415
        from stack.cluster.node import Node  # noqa: PLC0415

        node = Node(f"{NAME}-{stack.name}")
        container = containers.newest(node.core(), NAMESPACE, f"{COMPONENT}={SERVER}")
        if container is None:
            raise Unavailable(f"{SERVER} must run to be broken; got no running pod")
        containers.send(node, container, number.name)
        return
    process = psutil.Process(int(_server(stack).instances[0]))
    for victim in [*process.children(recursive=True), process]:
        victim.send_signal(number)


def stands_by(stack: Stack) -> bool:
    """Whether that is the last that the standby says of itself in its log."""
    lines = [line for _, line in stack.runtime.logs(STANDBY, SEEN_LINES, follow=False) if f"app={STANDBY}" in line]
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
