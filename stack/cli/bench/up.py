"""``bench up``: how long a stack takes to be ready, and what it takes of the machine when idle."""

import json
from dataclasses import asdict

import psutil
from rich.table import Table

from apps.common.waiting import pause
from stack import services
from stack.cli.bench.machine import machine, tell
from stack.cli.bench.measured_stack import measured_stack
from stack.cli.console import out, step
from stack.cli.demo import Chronicle
from stack.cli.stack import Mode, Stack
from stack.embedded.supervisor.state import NAME as SUPERVISOR
from stack.services import ServiceKind

MIB = 2**20
SETTLED_S = 60  # an idle figure is taken this long after the stack is ready: a JVM compiles for a while


def _resident(process: psutil.Process) -> int:
    """Memory of its own in bytes: a shared page counts in parts."""
    try:
        return int(process.memory_full_info().pss)
    except (psutil.Error, AttributeError):
        return int(process.memory_info().rss)


def memory_of(stack: Stack) -> dict[str, int]:
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
    before, figures = machine(), dict[str, object]()
    platform = [service.name for service in services.load().services if service.kind is ServiceKind.PLATFORM]
    with measured_stack() as stack:

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
        memory = memory_of(stack)
    figures["idle_mib"] = memory
    figures["idle_total_mib"] = sum(memory.values())
    table = Table("service", "MiB", box=None)
    for service, mib in memory.items():
        table.add_row(service, str(mib))
    table.add_row("all", str(figures["idle_total_mib"]))
    seconds_told = f"first up, no version yet: {figures['first']}; warm up, a version to serve: {figures['warm']}"
    tell(figures, before, [table, seconds_told], as_json=as_json)


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
    with measured_stack(Mode.CLUSTER) as stack:
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
