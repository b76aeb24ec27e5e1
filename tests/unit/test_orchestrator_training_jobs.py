"""What the Jobs of trainings and their pods say; each is as much of an object of Kubernetes as is looked at."""

from datetime import UTC, datetime
from types import SimpleNamespace as Made

import pytest

from apps.common.exit_codes import CRASHED, FAILED, REFUSED, Outcome
from apps.orchestrator.port import Failure, TrainingState, TrainingStatus
from apps.orchestrator.training_jobs import ATTEMPT, BATCH, HASH, NUMBER, statuses

ENDED = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)
LOG = "[info] counted rows=5\n[error] the training failed reason='HDFS must answer'\n"


def job(number, content_hash="x", *, ready=0, ended=(), attempt=1, batch="b", reason="BackoffLimitExceeded"):
    """The Job of a training."""
    told = {NUMBER: number, HASH: content_hash, ATTEMPT: attempt, BATCH: batch}
    conditions = [
        Made(type=kind, status="True", reason=reason, message="it took too long", last_transition_time=ENDED)
        for kind in ended
    ]
    metadata = Made(name=f"trainer-{number}", annotations=told)
    return Made(metadata=metadata, status=Made(conditions=conditions, ready=ready))


def failed(number, **more):
    """The Job of a training that failed."""
    return job(number, ended=["FailureTarget", "Failed"], attempt=number, **more)


def pod(code, reason="Error", message=LOG):
    """A pod whose only container ended so."""
    ended = Made(exit_code=code, reason=reason, message=message, finished_at=ENDED)
    status = Made(state=Made(terminated=ended), last_state=Made(terminated=None), restart_count=0)
    return Made(status=Made(container_statuses=[status]))


@pytest.mark.parametrize(
    ("found", "state"),
    [
        (job(1), TrainingState.REQUESTED),
        (job(1, ready=1), TrainingState.RUNNING),
        (job(1, ended=["FailureTarget"]), TrainingState.REQUESTED),
        (job(1, ended=["SuccessCriteriaMet", "Complete"]), TrainingState.SUCCEEDED),
        (failed(1), TrainingState.FAILED),
    ],
)
def test_a_job_tells_where_its_training_stands(found, state):
    """
    A Job counts as over only when Kubernetes says so, not when its pod looks so.
    """
    status = statuses([found], {})["x"]

    assert (state, 1, "b") == (status.state, status.attempts, status.batch)


def test_the_newest_job_of_a_content_counts():
    """
    A second attempt hides the first; another batch's Job is none of this one's.
    """
    found = statuses([job(1, "x", ended=["Complete"]), job(2, "x", attempt=2, ready=1), job(3, "y")], {})

    assert TrainingStatus(TrainingState.RUNNING, 2, "b") == found["x"]
    assert {"x", "y"} == found.keys()


@pytest.mark.parametrize(
    ("ended", "outcome", "reason"),
    [
        (pod(REFUSED), Outcome.REFUSED, "HDFS must answer"),
        (pod(FAILED), Outcome.COULD_NOT, "HDFS must answer"),
        (pod(CRASHED), Outcome.CRASHED, "HDFS must answer"),
        (pod(137, "OOMKilled"), Outcome.CRASHED, "ended by SIGKILL (OOMKilled)"),
        (pod(143), Outcome.COULD_NOT, "ended by SIGTERM (Error)"),
        (pod(2, message=None), Outcome.CRASHED, "exit code 2"),
        (pod(255, "Unknown"), Outcome.COULD_NOT, "nobody saw"),
        (pod(137, "ContainerStatusUnknown"), Outcome.COULD_NOT, "nobody saw"),
        (Made(status=Made(container_statuses=None)), Outcome.COULD_NOT, "nobody saw"),
        (None, Outcome.COULD_NOT, "nobody saw"),
    ],
)
def test_the_pod_of_a_job_that_failed_tells_the_outcome_and_why(ended, outcome, reason):
    """
    By its exit code and by the end of its log; one that is gone, or died with its node, is held against no batch.
    """
    failure = statuses([failed(1)], {"trainer-1": ended} if ended else {})["x"].failure

    assert (outcome, ENDED.timestamp(), 1) == (failure.outcome, failure.at, failure.tries)
    assert reason in failure.reason


def test_a_training_that_missed_its_deadline_crashed():
    """
    Kubernetes has removed its pod, and says so on the Job.
    """
    failure = statuses([failed(1, reason="DeadlineExceeded")], {})["x"].failure

    assert Failure(Outcome.CRASHED, ENDED.timestamp(), "it took too long", 1, 1) == failure


def test_the_tries_of_a_batch_are_counted_over_its_jobs_until_one_succeeds():
    """
    Only crashes count; under another name, or after a success, counting begins anew.
    """
    pods = {"trainer-1": pod(137), "trainer-2": pod(FAILED), "trainer-4": pod(FAILED)}
    jobs = [failed(1), failed(2), job(3, ready=1, attempt=3)]
    running = statuses(jobs, pods)["x"]
    renamed = statuses([*jobs[:2], failed(4, batch="c")], pods)["x"]
    done = statuses([*jobs[:2], job(3, ended=["Complete"])], pods)["x"]

    assert (Outcome.COULD_NOT, 2, 1) == (running.failure.outcome, running.failure.tries, running.failure.crashes)
    assert TrainingState.RUNNING is running.state
    assert ("c", 1, 0) == (renamed.batch, renamed.failure.tries, renamed.failure.crashes)
    assert done.failure is None
