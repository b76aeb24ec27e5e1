"""Whatever becomes of HDFS and MLflow: no good batch is refused, no release given up, and all goes on by itself."""

from contextlib import contextmanager

import pytest
from mlflow import MlflowClient

from apps.common.exit_codes import Outcome
from apps.common.waiting import pause, wait_until
from apps.orchestrator.port import ReleaseState
from loadtest.ledger import problems
from stack.cli import status
from stack.cli.stack import Mode
from tests.e2e.faults.hdfs_admin import HdfsAdmin

RATE = 20
TRIED_S = 180  # until a training has met the fault
DAMAGE_S = 180
AWAY_S = 120
ANSWERS_S = 5  # for which the new model answers, before the traffic ends
RELEASED_S = 400  # behind the longest back-off, which is five minutes


@pytest.fixture
def admin(pipeline, tmp_path):
    """HDFS in the hands of its administrator."""
    return HdfsAdmin(pipeline.environment["BATON_HDFS"], tmp_path)


@pytest.fixture
def mlflow(pipeline):
    """MLflow as a person would use it."""
    return MlflowClient(pipeline.environment["BATON_MLFLOW"])


@pytest.fixture
def serves_all_the_while(pipeline, first_version, ledger):
    """Traffic, of which nothing may be lost and everything must be right."""

    @contextmanager
    def serving():
        before = pipeline.served_version()
        with ledger.traffic(RATE, settle=120):
            yield
        versions = sorted({before, *ledger.versions_seen()})
        assert [] == problems(ledger.verdict(pipeline.expected(versions)), must_compare=True)

    return serving


def training(stack, batch):
    """What ``status`` says of the training on a batch."""
    batches = status.snapshot(stack).get("batches", {})
    trained_on = [*batches.get("landing", []), *batches.get("unfinished", [])]
    return next((one for one in trained_on if one["batch"] == batch.name), {})


def running(pipeline, batch):
    """Wait until the training on a batch runs."""
    wait_until(
        lambda: str(pipeline.training(batch.content_hash).state) == "running",
        TRIED_S,
        lambda: f"the training on {batch.name} must run: {pipeline.training(batch.content_hash)}",
    )


def met_the_fault(pipeline, batch):
    """Wait until a training has failed by the fault, and that was held against nobody; what is said of it."""

    def failed():
        assert pipeline.refusal(batch.name) is None
        return pipeline.training(batch.content_hash).failure

    failure = wait_until(failed, TRIED_S, lambda: str(pipeline.training(batch.content_hash)))
    assert (Outcome.COULD_NOT, 0) == (failure.outcome, failure.crashes), failure
    return failure


@pytest.mark.faults
def test_hdfs_in_safe_mode_delays_a_training(stack, pipeline, admin, serves_all_the_while):
    """
    The training could not, says why, costs no attempt and is run again when HDFS takes files.
    """
    with serves_all_the_while():
        batch = pipeline.drop_batch()
        running(pipeline, batch)
        admin.safe_mode(on=True)
        try:
            met_the_fault(pipeline, batch)
            said = training(stack, batch)
            pause(DAMAGE_S)
        finally:
            admin.safe_mode(on=False)
        version = pipeline.wait_for_version_trained_on(batch, RELEASED_S)
        pipeline.wait_until_served(version)
    assert "safe mode" in str(said).lower(), said


@pytest.mark.faults
def test_an_hdfs_without_room_delays_a_training(stack, pipeline, admin, serves_all_the_while):
    """
    What is missing is room, not quality: the batch waits in landing/, and status says what for.
    """
    with serves_all_the_while():
        batch = pipeline.drop_batch()
        admin.full(pipeline.names.hdfs_root, on=True)
        try:
            met_the_fault(pipeline, batch)
            said = training(stack, batch)
            pause(DAMAGE_S)
        finally:
            admin.full(pipeline.names.hdfs_root, on=False)
        version = pipeline.wait_for_version_trained_on(batch, RELEASED_S)
        pipeline.wait_until_served(version)
    assert "uota" in str(said), said


@pytest.mark.faults
def test_mlflow_away_in_the_middle_of_a_roll_out_delays_it(pipeline, faults, mode, serves_all_the_while):
    """
    The release is not given up, however often it was tried meanwhile; what served goes on serving.
    """
    with serves_all_the_while():
        served = pipeline.served_version()
        batch = pipeline.drop_batch()
        wanted = wait_until(
            lambda: (one := pipeline.served().wanted) and one.version != served and one,
            TRIED_S * 2,
            lambda: f"no roll-out of the version of {batch.name} was asked for: {pipeline.served()}",
            every=0.1,
        )
        with faults.kept_down("mlflow"):
            pause(AWAY_S)
            state = pipeline.served()
        pipeline.wait_until_served(wanted.version, RELEASED_S)
    assert ReleaseState.FAILED != state.wanted.state
    if mode is Mode.EMBEDDED:  # Kubernetes counts the starts of a pod, and not why each ended
        assert Outcome.COULD_NOT == state.wanted.failure.outcome


@pytest.mark.faults
def test_a_deleted_experiment_delays_nothing(pipeline, mlflow, serves_all_the_while):
    """
    The experiment deleted in the UI: the next good batch becomes a version all the same.
    """
    experiment = mlflow.get_experiment_by_name(pipeline.names.model)
    with serves_all_the_while():
        mlflow.delete_experiment(experiment.experiment_id)
        version = pipeline.wait_for_version_trained_on(pipeline.drop_batch())
        pipeline.wait_until_served(version)
    assert "active" == mlflow.get_experiment(experiment.experiment_id).lifecycle_stage


@pytest.mark.faults
def test_a_registered_model_begun_again_is_another_model(pipeline, mlflow, first_version, ledger):
    """
    The registered model deleted: the next batch becomes a version 1 again, and it is rolled out, since it is another.
    Its answers are right, and those of the deleted one are told apart from them by their manifest.
    """
    before = pipeline.served().serving
    mlflow.delete_registered_model(pipeline.names.model)
    with ledger.traffic(RATE, settle=120):
        version = pipeline.wait_for_version_trained_on(pipeline.drop_batch())
        wait_until(
            lambda: pipeline.served().serving.release > before.release and pipeline.served_version() == version,
            RELEASED_S,
            lambda: f"version {version} of the new model must serve: {pipeline.served()}",
        )
        pause(ANSWERS_S)
    assert "1" == version
    assert [] == problems(ledger.verdict([]))
    verdict = ledger.verdict(pipeline.expected([version]))
    assert verdict.second_opinions.get(version)
    # what the deleted version predicts nobody can compute any more
    unknown = f"version {before.version} with manifest {before.target.manifest_sha256[:16]}"
    assert {f"nothing is known of what {unknown} says to it"} == {one.reason for one in verdict.wrong}
