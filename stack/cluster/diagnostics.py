"""What is known of a cluster when something went wrong: logs (also of containers before), events, descriptions."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from apps.common.errors import BatonError
from apps.orchestrator.cluster import COMPONENT
from stack.cluster import programs
from stack.cluster.charts import NAMESPACE
from stack.cluster.node import Node

CLUSTER_WIDE = {
    "nodes.txt": ("describe", "nodes"),
    "events.txt": ("get", "events", "--all-namespaces", "--sort-by=.lastTimestamp"),
    "system-pods.txt": ("get", "pods", "--all-namespaces", "-o", "wide"),
}
PATIENCE_S = 60
PREFIX = re.compile(r"\[pod/(?P<pod>[^/\]]+)/[^\]]*\] ")  # as kubectl logs --prefix writes it


def collect(node: Node, core: Any, folder: Path) -> None:
    """Write a folder per component, and ``cluster/``; what cannot be had is left out."""
    for file, command in CLUSTER_WIDE.items():
        _write(folder / "cluster" / file, _kubectl(node, *command))
    for pod in core.list_namespaced_pod(NAMESPACE, _request_timeout=PATIENCE_S).items:
        name = pod.metadata.name
        component = (pod.metadata.labels or {}).get(COMPONENT, "other")
        target = folder / component
        inside = ("--namespace", NAMESPACE)
        _write(target / f"{name}.describe.txt", _kubectl(node, "describe", "pod", name, *inside))
        _write(target / f"{name}.log", _kubectl(node, "logs", name, "--all-containers", *inside))
        _write(target / f"{name}.previous.log", _kubectl(node, "logs", name, "--previous", *inside))


def log_lines(node: Node, service: str, lines: int, *, follow: bool) -> Iterator[tuple[str, str]]:
    """The newest lines of a service's pods, or of all: (component or pod, line); with ``follow`` without end."""
    whose = f"{COMPONENT}={service}" if service else "app.kubernetes.io/part-of=baton"
    command = ["logs", "--selector", whose, "--tail", str(lines), "--prefix", "--max-log-requests", "50"]
    where = [*node.access(), "--namespace", NAMESPACE]
    for line in programs.lines("kubectl", *where, *command, *(["--follow"] if follow else [])):
        prefix = PREFIX.match(line)
        yield (prefix["pod"], line[prefix.end() :]) if prefix else (service, line)


def _kubectl(node: Node, *command: str) -> str:
    try:
        return programs.run("kubectl", *node.access(), *command, timeout=PATIENCE_S)
    except BatonError:
        return ""


def _write(file: Path, text: str) -> None:
    if text:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
