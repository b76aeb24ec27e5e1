"""What the cluster takes: by ``./baton bench up --mode cluster --write``, kept as data, shown in docs/budget.md."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml
from kubernetes import client as kubernetes

from apps.common.errors import SettingsError
from apps.orchestrator.cluster import COMPONENT
from stack.cluster.charts import NAMESPACE
from stack.cluster.node import Node
from stack.environment import ROOT
from stack.services import ServiceKind, StackSpec

FILE = Path(__file__).with_name("budget.yaml")
PAGE = ROOT / "docs" / "budget.md"
MIB = 2**20
HEAD = "# Measured by ./baton bench up --mode cluster --write, which writes docs/budget.md too; doctor reads it.\n"


@dataclass(frozen=True)
class Budget:
    """Seconds until each service was ready after an ``up`` from no cluster; memory and CPU of the idle stack."""

    machine: Mapping[str, Any]
    ready_s: Mapping[str, float]  # service -> seconds since up began
    memory_mib: Mapping[str, int]  # working set, by service
    cpu_millicores: Mapping[str, int]  # a mean over some seconds
    idle_after_s: int  # since the roll-out; a JVM goes on compiling for a while
    node_mib: int  # the whole node: the services, Kubernetes and its own pods

    def training_mib(self, stack: StackSpec) -> int:
        """What the machine must have free for a training and a hand-over at once; what is optional is more."""
        optional = (one.name for one in stack.services if one.kind is ServiceKind.OPTIONAL)
        idle = self.node_mib - sum(self.memory_mib.get(name, 0) for name in optional)
        return idle + sum(stack.service(name).memory_mib for name in ("trainer", "prediction-server"))


def load(file: Path = FILE) -> Budget:
    """Read the data; raise SettingsError when a person has bent it."""
    try:
        return Budget(**yaml.safe_load(file.read_text()))
    except (OSError, TypeError, ValueError) as error:
        raise SettingsError(f"{file.name} must be as bench wrote it; got {error}; measure again") from error


def save(found: Budget) -> None:
    """Write the data and the page."""
    FILE.write_text(HEAD + yaml.safe_dump(asdict(found), sort_keys=False))
    PAGE.write_text(page(found))


def page(found: Budget) -> str:
    """The text of docs/budget.md."""
    memory, cpu = found.memory_mib, found.cpu_millicores
    rows = [
        f"| `{name}` | {seconds:.0f} | {memory.get(name, '')} | {cpu.get(name, '')} |"
        for name, seconds in found.ready_s.items()
    ]
    told = ", ".join(f"{name} {value}" for name, value in found.machine.items())
    table = "\n".join(rows)
    return f"""# What the cluster takes

Measured by `./baton bench up --mode cluster --write`, which writes this page, with a version loaded and nothing to do,
{found.idle_after_s} s after its roll-out (a JVM goes on compiling for a while).
Machine: {told}. From no cluster and built images everything was ready after
{max(found.ready_s.values(), default=0):.0f} s. The node as a whole, Kubernetes included, took {found.node_mib} MiB.

| service | ready after s | MiB | CPU in thousandths of a core |
|---|---|---|---|
{table}
"""


def measure(node: Node, ready_s: Mapping[str, float], machine: Mapping[str, Any], idle_after_s: int) -> Budget:
    """Ask the node's kubelet what each pod takes now."""
    core = node.core()
    summary = _summary(core, node.container_name)
    component = {
        pod.metadata.name: (pod.metadata.labels or {}).get(COMPONENT, "")
        for pod in core.list_namespaced_pod(NAMESPACE).items
    }
    memory: dict[str, int] = {}
    cpu: dict[str, int] = {}
    for pod in summary["pods"]:
        name = component.get(pod["podRef"]["name"])
        if name and pod["podRef"]["namespace"] == NAMESPACE and "memory" in pod:
            memory[name] = memory.get(name, 0) + round(pod["memory"].get("workingSetBytes", 0) / MIB)
            cpu[name] = cpu.get(name, 0) + round(pod["cpu"].get("usageNanoCores", 0) / 1e6)
    whole = round(summary["node"]["memory"]["workingSetBytes"] / MIB)
    return Budget(dict(machine), dict(ready_s), memory, cpu, idle_after_s, whole)


def _summary(core: kubernetes.CoreV1Api, node: str) -> dict[str, Any]:
    answer = core.connect_get_node_proxy_with_path(node, "stats/summary", _preload_content=False)
    summary: dict[str, Any] = json.loads(answer.data)
    return summary
