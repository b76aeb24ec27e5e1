"""What this machine lacks for the cluster mode, and what to do about each; ``up`` refuses in the same words."""

import math
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from kubernetes.utils.quantity import parse_quantity

from apps.common.errors import BatonError
from stack.cluster import budget, docker, kind_config, programs
from stack.cluster.charts import NAMESPACE_FILE
from stack.cluster.node import Node
from stack.preflight import GIB, Check, answers, free_memory
from stack.services import StackSpec

TWICE = 2.1  # a source as it is, and split into slices and a test part
UNPACKED = 11  # times the size of a compressed one
HELM = (3, 17)  # the first that takes over what another program put there
DISK_GIB = 20  # images in Docker and again in the node, jars, wheels, and where there is no registry a Go build cache


def check(node: Node, stack: StackSpec) -> list[Check]:
    """Look at the machine."""
    running = node.running()
    found = [*_docker(), *map(_program, ("kind", "kubectl")), _helm()]
    return [*found, _memory(stack, running=running), _disk(), *([] if running else _ports(stack))]


def _docker() -> Iterator[Check]:
    """Docker itself, and its control groups: Kubernetes 1.35 and newer refuses version 1, a node made here does not."""
    told = docker.info()
    problems = docker.problems(told)
    remedy = "install Docker and start it; as root on Debian: ./baton cluster from-source"
    yield Check("Docker must be able to run a cluster", not problems, "; ".join(problems) or "it can", remedy)
    if told:
        version = str(told.get("CgroupVersion", "unknown"))
        ok = version == "2" or (version == "1" and kind_config.has_node_image())
        remedy = "boot with cgroup v2, or run ./baton cluster from-source, whose node takes version 1 too"
        yield Check("control groups must be version 2", ok, f"version {version}", remedy)


def _program(name: str) -> Check:
    remedy = f"install {name}, or have it made: ./baton cluster from-source"
    try:
        return Check(f"{name} must be there", ok=True, got=str(programs.find(name)), remedy=remedy)
    except BatonError:
        return Check(f"{name} must be there", ok=False, got="none", remedy=remedy)


def _helm() -> Check:
    """Whether helm can make its own what Tilt put into the cluster."""
    there = _program("helm")
    if not there.ok:
        return there
    said = programs.run("helm", "version", "--template", "{{.Version}}")
    version = tuple(map(int, re.findall(r"\d+", said)[:2]))
    rule = f"helm must be {HELM[0]}.{HELM[1]} or newer"
    remedy = "install a newer one, or have it made: ./baton cluster from-source"
    return Check(rule, version >= HELM, f"{said} at {there.got}", remedy)


def _memory(stack: StackSpec, *, running: bool) -> Check:
    """A machine without room for a standby is told how to do without one, and passes."""
    need, more = budget.load().training_mib(stack) / 1024, stack.service("standby").memory_mib / 1024
    free = free_memory() / GIB
    got = "the cluster runs" if running else f"{free:.1f} GiB"
    if not running and need <= free < need + more:
        got += f", {need + more:.1f} GiB with a standby: leave it out by ./baton up --mode cluster --set standby=off"
    return Check(f"free memory must be {need:.1f} GiB", running or free >= need, got, "end other programs")


def _disk() -> Check:
    place = next(path for path in (Path("/var/lib/docker"), NAMESPACE_FILE) if path.exists())
    free = shutil.disk_usage(place).free / GIB
    return Check(f"free disk must be {DISK_GIB} GiB", free >= DISK_GIB, f"{free:.1f} GiB at {place}", "make room")


def room(source: Path, volume: str) -> Check:
    """Whether the dropper's volume, of a size such as ``1Gi``, holds a person's file and the slices of it."""
    factor = 1 + UNPACKED if source.suffix in (".gz", ".zip") else TWICE
    need = factor * source.stat().st_size / GIB
    held = float(parse_quantity(volume)) / GIB
    remedy = (
        f"set dropper.persistence.size in charts/pipeline/values.yaml to {math.ceil(need)}Gi; a cluster that is there "
        "keeps the volume that it has: ./baton reset --mode cluster"
    )
    rule = f"the dropper's volume must hold {need:.1f} GiB, the source and its slices"
    return Check(rule, held >= need, volume, remedy)


def _ports(stack: StackSpec) -> Iterator[Check]:
    owners = {port: f"{one.name} {name}" for one in stack.services for name, port in one.ports.items()}
    for _, port in sorted(kind_config.ports()):
        taken = answers(port)
        got = "somebody listens" if taken else "free"
        remedy = (
            "./baton doctor --mode embedded says who that is; ./baton down --mode embedded ends a stack of processes"
        )
        yield Check(f"port {port} ({owners[port]}) must be free", not taken, got, remedy)
