"""Whether a service is ready, as Kubernetes sees it, and what keeps one that is not."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from kubernetes import client as kubernetes

from apps.orchestrator.cluster import COMPONENT
from stack.cluster.charts import NAMESPACE
from stack.runtime import ServiceStatus
from stack.services import Service, ServiceKind

HOPELESS_REASONS = {
    "ErrImagePull",
    "ImagePullBackOff",
    "ErrImageNeverPull",
    "InvalidImageName",
    "CreateContainerConfigError",
}
HOPELESS_RESTARTS = 5  # while coming up
STUCK = "stuck"  # the state of a service for which waiting is no help
SHOWN_LINES = 12
SHOWN_EVENTS = 3


class Readiness:
    """Looks at the namespace through the API."""

    def __init__(self, api: Any, since: datetime) -> None:
        """
        ``api`` is a client of the cluster's API; ``since`` is when the node was started.

        A node that was stopped and started tells for a while what was true before: a container from then is gone.
        """
        self.since = since
        self.apps = kubernetes.AppsV1Api(api)
        self.batch = kubernetes.BatchV1Api(api)
        self.core = kubernetes.CoreV1Api(api)

    def look(self, services: Iterable[Service]) -> list[ServiceStatus]:
        """Every service, by four questions to the API."""
        sets = {one.metadata.name: one for one in self.apps.list_namespaced_stateful_set(NAMESPACE).items}
        deployments = {one.metadata.name: one for one in self.apps.list_namespaced_deployment(NAMESPACE).items}
        crons = {one.metadata.name for one in self.batch.list_namespaced_cron_job(NAMESPACE).items}
        pods: dict[str, list[Any]] = {}
        for pod in self.core.list_namespaced_pod(NAMESPACE).items:
            if not pod.metadata.deletion_timestamp:
                pods.setdefault((pod.metadata.labels or {}).get(COMPONENT, ""), []).append(pod)
        return [self._found(one, sets, deployments, crons, pods.get(one.name, [])) for one in services]

    def _found(
        self, service: Service, sets: dict[str, Any], deployments: dict[str, Any], crons: set[str], pods: list[Any]
    ) -> ServiceStatus:
        name = service.name
        names = tuple(pod.metadata.name for pod in pods)
        restarts = sum(status.restart_count for pod in pods for status in pod.status.container_statuses or [])
        if name in sets:
            ready = _set_ready(sets[name])
        elif name in deployments:
            ready = deployment_ready(deployments[name])
        elif name in crons:
            running = [pod.metadata.name for pod in pods if pod.status.phase == "Running"]
            state = "ready" if running or service.kind is ServiceKind.WATCHER else "scheduled"
            return ServiceStatus(name, state, tuple(running))
        else:
            return ServiceStatus(name, "absent", error="nothing of that name in the namespace")
        if ready and any(self._is_stale(pod) for pod in pods):
            return ServiceStatus(name, "starting", names, restarts, "known only from before the node's start")
        if ready:
            return ServiceStatus(name, "ready", names, restarts)
        reasons = [_keeps(pod) for pod in pods]
        error = "; ".join(text for text, _ in reasons if text) or "no pod yet"
        state = STUCK if any(hopeless for _, hopeless in reasons) else "starting"
        return ServiceStatus(name, state, names, restarts, error)

    def _is_stale(self, pod: Any) -> bool:
        running = [one.state.running for one in pod.status.container_statuses or [] if one.state.running]
        return any(one.started_at < self.since for one in running)

    def topics_made(self) -> bool:
        """Whether the newest Job that makes the topics has done so."""
        jobs = self.batch.list_namespaced_job(NAMESPACE, label_selector=f"{COMPONENT}=topics").items
        newest = max(jobs, key=lambda job: job.metadata.creation_timestamp, default=None)
        return newest is not None and bool(newest.status.succeeded)

    def evidence(self, status: ServiceStatus) -> list[str]:
        """The warnings and the last log lines of a service that is not ready."""
        lines = []
        for pod in status.instances:
            events = self.core.list_namespaced_event(
                NAMESPACE, field_selector=f"involvedObject.name={pod},type=Warning"
            ).items
            lines += [f"    {pod}: {event.reason}: {event.message}"[:240] for event in events[-SHOWN_EVENTS:]]
            lines += [f"    {line[:200]}" for line in self.last_lines(pod)]
        return lines

    def last_lines(self, pod: str, count: int = SHOWN_LINES) -> Sequence[str]:
        """The last lines that a pod printed, those of the container before when the present one said nothing."""
        for previous in (False, True):
            try:
                text = self.core.read_namespaced_pod_log(pod, NAMESPACE, tail_lines=count, previous=previous)
            except kubernetes.ApiException:
                continue
            if text:
                return str(text).splitlines()
        return []

    def forget_stuck(self) -> None:
        """
        Delete pods of a StatefulSet that hang on what it was before.

        Kubernetes waits for such a pod to get ready before it gives it what is new, and so waits for ever.
        """
        for one in self.apps.list_namespaced_stateful_set(NAMESPACE).items:
            selector = f"{COMPONENT}={one.metadata.name}"
            for pod in self.core.list_namespaced_pod(NAMESPACE, label_selector=selector).items:
                revision = (pod.metadata.labels or {}).get("controller-revision-hash")
                if revision != one.status.update_revision and not _pod_ready(pod):
                    self.core.delete_namespaced_pod(pod.metadata.name, NAMESPACE)


def _set_ready(one: Any) -> bool:
    wanted, status = one.spec.replicas, one.status
    current = (status.observed_generation or 0) >= one.metadata.generation
    return bool(current and status.ready_replicas == wanted and (status.updated_replicas or 0) == wanted)


def deployment_ready(one: Any) -> bool:
    """Whether a roll-out is complete: every pod is of the newest template and ready, and none of another is left."""
    wanted, status = one.spec.replicas, one.status
    current = (status.observed_generation or 0) >= one.metadata.generation
    counts = (status.replicas, status.updated_replicas, status.available_replicas)
    return current and all((count or 0) == wanted for count in counts)


def _pod_ready(pod: Any) -> bool:
    return any(one.type == "Ready" and one.status == "True" for one in pod.status.conditions or [])


def _keeps(pod: Any) -> tuple[str, bool]:
    """What keeps a pod from being ready, and whether waiting will not help."""
    for one in pod.status.conditions or []:
        if one.type == "PodScheduled" and one.status == "False":
            return f"{pod.metadata.name} finds no place: {one.message}", False
    for status in pod.status.container_statuses or []:
        waiting = status.state.waiting
        if waiting and waiting.reason in HOPELESS_REASONS:
            return f"{pod.metadata.name}: {waiting.reason}: {waiting.message}", True
        if status.restart_count and not status.ready:
            ended = status.last_state.terminated
            code = f", exit code {ended.exit_code} ({ended.reason})" if ended else ""
            text = f"{pod.metadata.name} was started {status.restart_count + 1} times{code}"
            return text, False
        if not status.ready:
            return f"{pod.metadata.name} is {waiting.reason if waiting else 'not ready yet'}", False
    return ("", False) if _pod_ready(pod) else (f"{pod.metadata.name} is {pod.status.phase}", False)
