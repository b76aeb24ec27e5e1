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
from stack.cli.console import out, step
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
        "load": [round(one, 2) for one in os.getloadavg()],
    }


def _resident(process: psutil.Process) -> int:
    """Memory of its own in bytes: a shared page counts in parts."""
    try:
        return int(process.memory_full_info().pss)
    except (psutil.Error, AttributeError):
        return int(process.memory_info().rss)


def _memory(session: Stack) -> dict[str, int]:
    """MiB of each service and of what it started; the supervisor's children are the services."""
    pids = {status.service: int(status.instances[0]) for status in session.runtime.status() if status.instances}
    found = {}
    for service, pid in pids.items():
        process = psutil.Process(pid)
        members = [process] if service == SUPERVISOR else [process, *process.children(recursive=True)]
        found[service] = round(sum(map(_resident, members)) / MIB)
    return found


def up(*, as_json: bool) -> None:
    """Seconds of a first up (a new state folder) and of a warm one with a version to serve; memory when idle."""
    found: dict[str, object] = {"machine": machine()}
    platform = [service.name for service in services.load().services if service.kind is ServiceKind.PLATFORM]
    with stack_of_its_own("bench", "used_cars", None) as session:

        def seconds() -> dict[str, float]:
            ready = session.ready_after
            return {
                "platform_s": round(max(ready[name] for name in platform), 1),
                "all_s": round(max(ready.values()), 1),
            }

        found["first"] = seconds()
        Chronicle(session.pipeline()).cycle()
        session.runtime.down()
        session.up("used_cars", None)
        found["warm"] = seconds()
        with step("idle"):
            pause(SETTLED_S)
        memory = _memory(session)
    found["idle_mib"] = memory
    found["idle_total_mib"] = sum(memory.values())
    if as_json:
        print(json.dumps(found, indent=1))
        return
    shown = Table("service", "MiB", box=None)
    for service, mib in memory.items():
        shown.add_row(service, str(mib))
    shown.add_row("all", str(found["idle_total_mib"]))
    out.print(shown)
    out.print(f"first up, no version yet: {found['first']}; warm up, a version to serve: {found['warm']}")
    out.print(f"machine: {found['machine']}")


def cluster_up() -> None:
    """Seconds until each service of a new cluster is ready; memory and CPU when idle; written to docs/budget.md."""
    from stack.cluster import budget, images  # noqa: PLC0415 - a second to import, which nobody else here needs
    from stack.cluster.kind_config import NAME  # noqa: PLC0415
    from stack.cluster.node import Node  # noqa: PLC0415

    with step("images"):
        images.build(lambda _: None)
    with stack_of_its_own("bench", "used_cars", None, Mode.CLUSTER) as session:
        ready = {name: round(seconds, 1) for name, seconds in session.ready_after.items()}
        Chronicle(session.pipeline()).cycle()
        with step("idle"):
            pause(SETTLED_S)
        found = budget.measure(Node(f"{NAME}-bench"), ready, machine(), SETTLED_S)
    budget.save(found)
    out.print(budget.page(found), markup=False)


def serve(rates: list[float], seconds: float, *, as_json: bool) -> None:
    """Train on one batch, then measure the latency of its version at each rate, open loop."""
    figures = []
    with stack_of_its_own("bench", "used_cars", None) as session:
        pipeline = session.pipeline()
        Chronicle(pipeline).cycle()
        for rate in rates:
            ledger = LiveLedger(pipeline.environment, session.state / f"ledger-{rate:g}")
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
    shown = Table("requests/s", "answers", "p50 ms", "p95 ms", "p99 ms", "p99.9 ms", "worst ms", "missing", box=None)
    for figure in figures:
        numbers = [f"{figure[key]:.1f}" for key in ("p50_ms", "p95_ms", "p99_ms", "p999_ms", "worst_ms")]
        shown.add_row(f"{figure['rate']:g}", f"{figure['count']:,}", *numbers, str(figure["missing"]))
    out.print(shown)
    out.print(f"open loop, after {WARM_S} s of warm-up; machine: {machine()}")
