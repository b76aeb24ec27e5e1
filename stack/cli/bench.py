"""``./baton bench``: figures, never verdicts; each run names the machine and its load."""

import json
import os
import time
from dataclasses import asdict

import psutil
from rich.table import Table

from apps.common.waiting import pause
from loadtest.timing import latency
from loadtest.traffic import LiveLedger
from stack import services
from stack.cli.console import out, show, step
from stack.cli.demo import Chronicle, stack_of_its_own
from stack.cli.stack import Mode, Stack
from stack.embedded.supervisor.state import NAME as SUPERVISOR
from stack.services import ServiceKind

MIB = 2**20
SETTLED_S = 60  # an idle figure is taken this long after the stack is ready: a JVM compiles for a while
WARM_S = 15  # requests before those that are measured


def machine() -> dict[str, object]:
    """What a figure was measured on."""
    return {
        "cores": psutil.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "load": [round(load, 2) for load in os.getloadavg()],
    }


def _resident(process: psutil.Process) -> int:
    """Memory of its own in bytes: a shared page counts in parts."""
    try:
        return int(process.memory_full_info().pss)
    except (psutil.Error, AttributeError):
        return int(process.memory_info().rss)


def _memory(stack: Stack) -> dict[str, int]:
    """MiB of each service and of what it started; the supervisor's children are the services."""
    pids = {status.service: int(status.instances[0]) for status in stack.runtime.status() if status.instances}
    figures = {}
    for service, pid in pids.items():
        process = psutil.Process(pid)
        members = [process] if service == SUPERVISOR else [process, *process.children(recursive=True)]
        figures[service] = round(sum(map(_resident, members)) / MIB)
    return figures


def up(*, as_json: bool) -> None:
    """Seconds of a first up (a new state folder) and of a warm one with a version to serve; memory when idle."""
    figures: dict[str, object] = {"machine": machine()}
    platform = [service.name for service in services.load().services if service.kind is ServiceKind.PLATFORM]
    with stack_of_its_own("bench", "used_cars", None) as stack:

        def seconds() -> dict[str, float]:
            ready = stack.ready_after
            return {
                "platform_s": round(max(ready[name] for name in platform), 1),
                "all_s": round(max(ready.values()), 1),
            }

        figures["first"] = seconds()
        Chronicle(stack.pipeline()).cycle()
        stack.runtime.down()
        stack.up("used_cars", None)
        figures["warm"] = seconds()
        with step("idle"):
            pause(SETTLED_S)
        memory = _memory(stack)
    figures["idle_mib"] = memory
    figures["idle_total_mib"] = sum(memory.values())
    if as_json:
        print(json.dumps(figures, indent=1))
        return
    table = Table("service", "MiB", box=None)
    for service, mib in memory.items():
        table.add_row(service, str(mib))
    table.add_row("all", str(figures["idle_total_mib"]))
    show(table)
    out.print(f"first up, no version yet: {figures['first']}; warm up, a version to serve: {figures['warm']}")
    out.print(f"machine: {figures['machine']}")


def cluster_up(*, as_json: bool, write: bool) -> None:
    """
    Seconds until each service of a new cluster is ready; memory and CPU when idle.

    With ``write`` it becomes the budget that doctor reads, and docs/budget.md; both are tracked files.
    """
    from stack.cluster import budget, images  # noqa: PLC0415 - a second to import, which nobody else here needs
    from stack.cluster.kind_config import NAME  # noqa: PLC0415
    from stack.cluster.node import Node  # noqa: PLC0415

    with step("images"):
        images.build(lambda _: None)
    with stack_of_its_own("bench", "used_cars", None, Mode.CLUSTER) as stack:
        ready = {name: round(seconds, 1) for name, seconds in stack.ready_after.items()}
        Chronicle(stack.pipeline()).cycle()
        with step("idle"):
            pause(SETTLED_S)
        figures = budget.measure(Node(f"{NAME}-bench"), ready, machine(), SETTLED_S)
    if write:
        budget.save(figures)
    if as_json:
        print(json.dumps(asdict(figures), indent=1))
        return
    out.print(budget.page(figures))
    if not write:
        out.print(f"{budget.FILE.name} and docs/budget.md are as they were; with --write they get these figures.")


def serve(rates: list[float], seconds: float, *, as_json: bool) -> None:
    """Train on one batch, then measure the latency of its version at each rate, open loop."""
    figures = []
    with stack_of_its_own("bench", "used_cars", None) as stack:
        pipeline = stack.pipeline()
        Chronicle(pipeline).cycle()
        for rate in rates:
            ledger = LiveLedger(pipeline.environment, stack.state / f"ledger-{rate:g}")
            with step(f"{rate:g} requests/s for {seconds:g} s"), ledger.traffic(rate):
                pause(WARM_S)
                warm_until = time.time()
                pause(seconds)
            verdict = ledger.verdict([])
            measured = latency([wait for wait in verdict.waits if wait.sent_at >= warm_until])
            figures.append({"rate": rate, "missing": len(verdict.missing), **asdict(measured)})
    if as_json:
        print(json.dumps({"machine": machine(), "serve": figures}, indent=1))
        return
    table = Table("requests/s", "answers", "p50 ms", "p95 ms", "p99 ms", "p99.9 ms", "worst ms", "missing", box=None)
    for figure in figures:
        numbers = [f"{figure[key]:.1f}" for key in ("p50_ms", "p95_ms", "p99_ms", "p999_ms", "worst_ms")]
        table.add_row(f"{figure['rate']:g}", f"{figure['count']:,}", *numbers, str(figure["missing"]))
    show(table)
    out.print(f"open loop, after {WARM_S} s of warm-up; machine: {machine()}")
