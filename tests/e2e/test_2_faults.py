"""Whatever is killed, the end state is the same and no acknowledged request stays unanswered."""

import pytest

from apps.common.waiting import pause, wait_until
from apps.prediction_server.progress_rules import BEGIN_S
from loadtest.ledger import problems

RATE = 50
START_S = 150  # in a cluster the watcher's next look, and then the trainer's pod


@pytest.mark.parametrize("service", ["prediction-server", "kafka"])
def test_no_request_is_lost_when_a_process_on_its_way_is_killed(faults, pipeline, first_version, ledger, service):
    """
    Kill -9 of the server or of the broker under traffic delays answers and loses none.
    """
    with ledger.traffic(rate=RATE, settle=120):
        pause(5)
        faults.wait_until_back(service, faults.kill(service))
        pause(5)

    verdict = ledger.verdict(pipeline.expected([pipeline.served_version()]))
    assert [] == problems(verdict, must_compare=True)
    assert verdict.acked > 10 * RATE


def test_a_jvm_that_is_frozen_is_replaced_and_no_request_is_lost(faults, pipeline, first_version, ledger):
    """
    The server's process lives and answers nothing: it notices by itself, whoever started it starts it anew.
    """
    pause(BEGIN_S)  # a stream that has just begun may be silent for as long
    with ledger.traffic(rate=RATE, settle=120):
        pause(5)
        faults.wait_until_back("prediction-server", faults.freeze_jvm("prediction-server"))
        pause(5)

    verdict = ledger.verdict(pipeline.expected([pipeline.served_version()]))
    assert [] == problems(verdict, must_compare=True)


def test_a_batch_becomes_a_version_whatever_was_killed_meanwhile(faults, pipeline, first_version):
    """
    Kill -9 of the NameNode, both watchers and what keeps everything running, at once, during a training, is made good.
    """
    before = len(pipeline.versions())
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

    assert before + 1 == len(pipeline.versions())


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
