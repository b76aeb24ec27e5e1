"""Whatever is killed, the end state is the same and no acknowledged request stays unanswered."""

import mlflow
import pytest

from apps.common.waiting import pause, wait_until
from loadtest.ledger import problems
from stack.cli.status import snapshot

RATE = 50
KEPT_S = 120
START_S = 150  # in a cluster the watcher's next look, and then the trainer's pod


@pytest.mark.faults  # what a trainer and a watcher make good alone is shown in each run by their own suites
def test_a_batch_becomes_a_version_whatever_was_killed_meanwhile(faults, pipeline, first_version, ledger):
    """
    Kill -9 of the NameNode, both watchers and what keeps everything running, at once, during a training, is made good.
    """
    before, served = len(pipeline.versions()), pipeline.served_version()
    with ledger.traffic(rate=RATE, settle=120):
        batch = pipeline.drop_batch()
        wait_until(
            lambda: str(pipeline.training(batch.content_hash).state) == "running",
            START_S,
            lambda: f"the training did not start: {pipeline.training(batch.content_hash)}",
        )
        killed = {name: faults.kill(name) for name in ("new-data-watcher", "new-model-watcher", "namenode")}
        faults.kill_keeper()
        for service, old in killed.items():
            faults.wait_until_back(service, old)
        version = pipeline.wait_for_version_trained_on(batch)
        pipeline.wait_until_served(version)
        ledger.wait_until_answered_by(version)

    assert before + 1 == len(pipeline.versions())
    assert [] == problems(ledger.verdict(pipeline.expected([served, version])), 2, must_compare=True)


def test_a_killed_training_is_run_again_and_gives_one_version(faults, pipeline, first_version):
    """
    Kill -9 of the trainer leaves no second version and no lost batch.
    """
    before = len(pipeline.versions())
    batch = pipeline.drop_batch()
    wait_until(lambda: faults.instance("trainer"), START_S, "the trainer did not start")
    pause(8)
    faults.kill("trainer")

    version = pipeline.wait_for_version_trained_on(batch)

    assert before + 1 == len(pipeline.versions())
    assert pipeline.training(batch.content_hash).attempts == 2
    pipeline.wait_until_served(version)


def kept(pipeline):
    """The release that serves, once its files are kept in HDFS."""
    release = pipeline.served().serving
    folder = f"{pipeline.names.hdfs_root}/models/{release.target.manifest_sha256}"
    wait_until(lambda: pipeline.store.exists(folder), KEPT_S, f"{release} is not kept in {folder}")
    return release


@pytest.mark.faults  # the server's own suite has it in each run
def test_the_server_is_started_again_while_mlflow_is_down(faults, pipeline, first_version, ledger):
    """
    Kill -9 of the server while MLflow is down delays answers and loses none: what serves is kept in HDFS.
    """
    before = kept(pipeline)
    with ledger.traffic(rate=RATE, settle=120), faults.kept_down("mlflow"):
        pause(5)
        faults.wait_until_back("prediction-server", faults.kill("prediction-server"))
        pause(5)

    verdict = ledger.verdict(pipeline.expected([before.version]))
    assert [] == problems(verdict, must_compare=True)
    assert before == pipeline.served().serving


@pytest.mark.once
def test_a_version_that_is_deleted_in_mlflow_serves_on(stack, faults, pipeline, first_version, ledger):
    """
    Its server is killed after that: the same release serves again, and status says what is wrong and what mends it.
    """
    if pipeline.served_version() == first_version:
        pipeline.wait_until_served(pipeline.wait_for_version_trained_on(pipeline.drop_batch()))
    before, registry = kept(pipeline), mlflow.MlflowClient(pipeline.environment["BATON_MLFLOW"])
    registry.delete_model_version(before.target.model, before.version)
    try:
        with ledger.traffic(rate=RATE, settle=120):
            pause(5)
            faults.wait_until_back("prediction-server", faults.kill("prediction-server"))
            pause(5)
        told, after = snapshot(stack)["problems"], pipeline.served().serving
    finally:
        newest = pipeline.versions()[-1].version
        registry.set_registered_model_alias(before.target.model, "champion", newest)
    pipeline.wait_until_served(newest)

    assert [] == problems(ledger.verdict([]))  # what the deleted version predicts nobody can compute any more
    assert {before.version} == ledger.versions_seen()
    assert before == after
    assert [f"while version {before.version} serves, and MLflow has that version no more" in one for one in told] == [
        True
    ]
    # a pod that has just made room may still be counted as one that starts
    wait_until(lambda: not snapshot(stack)["problems"], KEPT_S, lambda: str(snapshot(stack)["problems"]))
