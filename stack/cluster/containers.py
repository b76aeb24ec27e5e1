"""The containers of pods, as the node's containerd knows them: to end them, or freeze them, as a fault would."""

from typing import Any

from stack.cluster.node import Node


def newest(core: Any, namespace: str, selector: str) -> str | None:
    """The id of the running container of the newest pod that ``selector`` finds and nobody has deleted."""
    return _running(max(_pods(core, namespace, selector), key=_made, default=None))


def oldest(core: Any, namespace: str, selector: str) -> str | None:
    """The same of the oldest of these pods."""
    return _running(min(_pods(core, namespace, selector), key=_made, default=None))


def _pods(core: Any, namespace: str, selector: str) -> list[Any]:
    pods = core.list_namespaced_pod(namespace, label_selector=selector).items
    return [pod for pod in pods if pod.status.phase == "Running" and not pod.metadata.deletion_timestamp]


def _made(pod: Any) -> Any:
    return pod.metadata.creation_timestamp


def _running(pod: Any) -> str | None:
    states = pod.status.container_statuses if pod else []
    return container_id(pod) if states and states[0].state.running else None


def container_id(pod: Any) -> str:
    """The id of a pod's container."""
    return str(pod.status.container_statuses[0].container_id.removeprefix("containerd://"))


def send(node: Node, container: str, signal: str) -> None:
    """Send every process of a container a signal, as ``SIGKILL``."""
    node.execute("ctr", "--namespace", "k8s.io", "tasks", "kill", "--all", "--signal", signal, container)
