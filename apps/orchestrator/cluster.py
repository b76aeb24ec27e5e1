"""
The orchestrator port in cluster mode: what a watcher wants is written into Kubernetes, which fulfils it.

A training is a Job made from the chart's suspended CronJob ``trainer``, so that no pod is described here. A release
is a patch of annotations of the pods of the Deployment ``prediction-server``, which no chart writes; Kubernetes
rolls it out make before break. Nothing is remembered in a process. Two watchers at once cannot do a thing twice: a
training's number is in its Job's name, and a patch names the state that it was decided on.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from kubernetes import client, config

from apps.common.errors import Unavailable
from apps.common.target import Target
from apps.orchestrator.pod_ending import ending
from apps.orchestrator.port import ABSENT, Failure, Release, ReleaseState, Served, TrainingStatus
from apps.orchestrator.training_jobs import (
    ATTEMPT,
    BATCH,
    HASH,
    JOB_NAME,
    NUMBER,
    failure_condition,
    number_of,
    state_of,
    statuses,
)

TRAINER, SERVER = "trainer", "prediction-server"
# Annotations of the server's pods; those of an earlier Baton are VERSION and RELEASE alone.
RELEASE, MODEL, VERSION, RUN, MANIFEST = (
    f"baton.dev/{name}" for name in ("release", "model-name", "model-version", "run-id", "manifest-sha256")
)
COMPONENT = "app.kubernetes.io/component"
CONFLICT = 409
PATIENCE_S = 10
TRIES = 5


def own_cluster() -> client.ApiClient:
    """A client of the cluster that this pod runs in, as its service account."""
    try:
        config.load_incluster_config()
    except config.ConfigException as error:
        raise Unavailable(f"cluster mode must run in a pod with a service account; got {error}; see charts/") from error
    return client.ApiClient()


class ClusterOrchestrator:
    """The port's four verbs over the API of Kubernetes."""

    def __init__(self, api: client.ApiClient, namespace: str) -> None:
        """``namespace`` is where the pipeline's chart is installed."""
        self.namespace = namespace
        self._batch = client.BatchV1Api(api)
        self._apps = client.AppsV1Api(api)
        self._core = client.CoreV1Api(api)

    def start_training(self, batch: str, content_hash: str) -> None:
        """Ask for a training of ``batch``; does nothing while any training is requested or running."""
        jobs = self._jobs()
        if any(state_of(job).under_way for job in jobs):
            return
        before = statuses(jobs, {}).get(content_hash, ABSENT)
        attempt = before.attempts + 1 if before.batch == batch else 1
        number = 1 + max(map(number_of, jobs), default=0)
        annotations = {BATCH: batch, HASH: content_hash, ATTEMPT: str(attempt), NUMBER: str(number)}
        job = self._job(f"{TRAINER}-{number}", annotations)
        try:
            self._ask(self._batch.create_namespaced_job, self.namespace, job)
        except client.ApiException as error:
            if error.status != CONFLICT:  # another watcher was quicker: one training at a time
                raise _unavailable(error) from error

    def trainings(self) -> Mapping[str, TrainingStatus]:
        """The status of every training whose Job Kubernetes still keeps, by the content hash of its batch."""
        jobs = self._jobs()
        return statuses(jobs, self._pods() if any(map(failure_condition, jobs)) else {})

    def served(self) -> Served:
        """What serves now and what was last asked for."""
        deployment = self._deployment()
        serving = self._serving()
        return Served(serving, _wanted(deployment, serving, self._failure))

    def roll_out(self, target: Target) -> int:
        """Ask for a release of ``target``, unless the newest one asked for is of that very target and did not fail."""
        for _ in range(TRIES):
            deployment, serving = self._deployment(), self._serving()
            wanted = _wanted(deployment, serving, self._failure)
            if wanted and wanted.target == target and wanted.state is not ReleaseState.FAILED:
                return wanted.release
            number = 1 + max((release.release for release in (serving, wanted) if release), default=0)
            patch = {
                "metadata": {"resourceVersion": deployment.metadata.resource_version},
                "spec": {"template": {"metadata": {"annotations": _annotations(number, target)}}},
            }
            try:
                self._ask(self._apps.patch_namespaced_deployment, SERVER, self.namespace, patch)
            except client.ApiException as error:
                if error.status != CONFLICT:
                    raise _unavailable(error) from error
                continue  # it changed since it was read: decide again
            return number
        raise Unavailable(f"{SERVER} must hold still to be patched; got {TRIES} conflicts; the next tick tries again")

    def _jobs(self) -> list[Any]:
        """The Jobs of all trainings that Kubernetes still keeps, oldest first."""
        selector = f"{COMPONENT}={TRAINER}"
        jobs = self._get(self._batch.list_namespaced_job, self.namespace, label_selector=selector).items
        return sorted((job for job in jobs if NUMBER in (job.metadata.annotations or {})), key=number_of)

    def _pods(self) -> dict[str, Any]:
        """The newest pod of each training, by the name of its Job."""
        pods = self._get(self._core.list_namespaced_pod, self.namespace, label_selector=f"{COMPONENT}={TRAINER}").items
        oldest_first = sorted(pods, key=lambda pod: pod.metadata.creation_timestamp)
        return {(pod.metadata.labels or {}).get(JOB_NAME, ""): pod for pod in oldest_first}

    def _job(self, name: str, annotations: dict[str, str]) -> dict[str, Any]:
        """A Job from the CronJob's template, as ``kubectl create job --from`` makes it."""
        cron = self._get(self._batch.read_namespaced_cron_job, TRAINER, self.namespace)
        template = self._batch.api_client.sanitize_for_serialization(cron.spec.job_template)
        pod = template["spec"]["template"].setdefault("metadata", {})
        pod["annotations"] = {**pod.get("annotations", {}), **annotations}
        owner = {"apiVersion": "batch/v1", "kind": "CronJob", "name": TRAINER, "uid": cron.metadata.uid}
        labels = {**(template.get("metadata") or {}).get("labels", {}), COMPONENT: TRAINER}
        return {
            "metadata": {
                "name": name,
                "labels": labels,
                "annotations": annotations,
                "ownerReferences": [{**owner, "controller": True}],
            },
            "spec": template["spec"],
        }

    def _deployment(self) -> Any:
        return self._get(self._apps.read_namespaced_deployment, SERVER, self.namespace)

    def _serving(self) -> Release | None:
        """The newest release that a ready pod answers with."""
        selector = f"{COMPONENT}={SERVER}"
        sets = self._get(self._apps.list_namespaced_replica_set, self.namespace, label_selector=selector).items
        ready = [_release(pods, ReleaseState.SERVING) for pods in sets if pods.status.ready_replicas]
        return max(filter(None, ready), key=lambda release: release.release, default=None)

    def _failure(self, release: Release) -> Failure | None:
        """How the newest pod of a release ended the last time."""
        pods = self._get(self._core.list_namespaced_pod, self.namespace, label_selector=f"{COMPONENT}={SERVER}").items
        own = [pod for pod in pods if (pod.metadata.annotations or {}).get(RELEASE) == str(release.release)]
        newest = max(own, key=lambda pod: pod.metadata.creation_timestamp, default=None)
        return ending(newest) if newest else None

    def _get(self, ask: Any, *names: str, **more: Any) -> Any:
        try:
            return self._ask(ask, *names, **more)
        except client.ApiException as error:
            raise _unavailable(error) from error

    def _ask(self, ask: Any, *arguments: Any, **more: Any) -> Any:
        try:
            return ask(*arguments, _request_timeout=PATIENCE_S, **more)
        except client.ApiException:
            raise
        except Exception as error:  # what urllib3 raises is no part of the client's contract
            raise Unavailable(f"Kubernetes must answer; got {error}; is the cluster up?") from error


def _unavailable(error: client.ApiException) -> Unavailable:
    try:
        message = json.loads(error.body)["message"]
    except (TypeError, ValueError, KeyError):
        message = error.reason
    return Unavailable(f"Kubernetes must do what is asked; got {error.status}: {message}; see charts/pipeline")


def _release(pods: Any, state: ReleaseState) -> Release | None:
    """The release in the pod annotations of a Deployment or ReplicaSet; None before the first."""
    told = pods.spec.template.metadata.annotations or {}
    if RELEASE not in told:
        return None
    target = Target(told.get(MODEL, ""), told[VERSION], told.get(RUN, ""), told.get(MANIFEST, ""))
    return Release(int(told[RELEASE]), target, state)


def _annotations(release: int, target: Target) -> dict[str, str]:
    """All of them, the empty ones too: a patch leaves those of the release before that it does not name."""
    return {
        RELEASE: str(release),
        MODEL: target.model,
        VERSION: target.version,
        RUN: target.run_id,
        MANIFEST: target.manifest_sha256,
    }


def _wanted(
    deployment: Any, serving: Release | None, failure_of: Callable[[Release], Failure | None]
) -> Release | None:
    """The newest release asked for; it has failed when Kubernetes gave it up, or its server refused it."""
    wanted = _release(deployment, ReleaseState.STARTING)
    if wanted is None:
        return None
    if serving and serving.release >= wanted.release:
        return replace(wanted, state=ReleaseState.SERVING)
    failure = failure_of(wanted)
    failed = _gave_up(deployment) or (failure is not None and failure.is_final)
    return replace(wanted, state=ReleaseState.FAILED if failed else ReleaseState.STARTING, failure=failure)


def _gave_up(deployment: Any) -> bool:
    """Whether Kubernetes counts the newest roll-out as failed: its pod was not ready within the deadline."""
    if (deployment.status.observed_generation or 0) < deployment.metadata.generation:
        return False
    conditions = deployment.status.conditions or []
    return any(condition.reason == "ProgressDeadlineExceeded" for condition in conditions)
