"""
What the Jobs of trainings say, read together with their pods: where each training stands, and how it failed.

A Job carries the batch in annotations. Of a training that failed its pod tells the outcome by its exit code and the
reason by the end of its log, which Kubernetes keeps with the pod; the tries before it are the earlier Jobs.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from apps.common.exit_codes import Outcome
from apps.orchestrator.pod_ending import ending
from apps.orchestrator.port import ABSENT, Failure, TrainingState, TrainingStatus

BATCH, HASH, ATTEMPT, NUMBER = (f"baton.dev/{name}" for name in ("batch", "content-hash", "attempt", "number"))
JOB_NAME = "batch.kubernetes.io/job-name"  # a label of the pods
OVERDUE = "DeadlineExceeded"  # of a Job


def number_of(job: Any) -> int:
    """The number of a training; it only grows."""
    return int(job.metadata.annotations[NUMBER])


def state_of(job: Any) -> TrainingState:
    """Where a training stands; it is over only when Kubernetes says so, not when its pod looks so."""
    if _condition(job, "Complete"):
        return TrainingState.SUCCEEDED
    if failure_condition(job):
        return TrainingState.FAILED
    return TrainingState.RUNNING if job.status.ready else TrainingState.REQUESTED


def failure_condition(job: Any) -> Any:
    """What Kubernetes says of a Job that failed; None of one that did not."""
    return _condition(job, "Failed")


def _condition(job: Any, kind: str) -> Any:
    holding = (condition for condition in job.status.conditions or [] if condition.status == "True")
    return next((condition for condition in holding if condition.type == kind), None)


def statuses(jobs: Sequence[Any], pods: Mapping[str, Any]) -> dict[str, TrainingStatus]:
    """The status of each training by content hash; ``jobs`` are oldest first, ``pods`` by the names of their Jobs."""
    found: dict[str, TrainingStatus] = {}
    for job in jobs:
        told, state = job.metadata.annotations, state_of(job)
        before = found.get(told[HASH], ABSENT)
        failure = before.failure if before.batch == told[BATCH] and state is not TrainingState.SUCCEEDED else None
        if state is TrainingState.FAILED:
            condition = failure_condition(job)
            outcome, reason = _ending(condition, pods.get(job.metadata.name))
            failure = Failure.after(failure, outcome, condition.last_transition_time.timestamp(), reason)
        found[told[HASH]] = TrainingStatus(state, int(told[ATTEMPT]), told[BATCH], failure)
    return found


def _ending(condition: Any, pod: Any) -> tuple[Outcome, str]:
    """How a training failed, and why; a pod that is gone, or ended with its node, is held against no batch."""
    if condition.reason == OVERDUE:
        return Outcome.CRASHED, condition.message or OVERDUE
    ended = ending(pod) if pod else None
    return (ended.outcome, ended.reason) if ended else (Outcome.COULD_NOT, "nobody saw how its pod ended")
