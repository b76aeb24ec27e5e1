"""Whatever is killed, the end state is the same and no acknowledged request stays unanswered."""

import os
import signal

import psutil
import pytest

from apps.common.waiting import pause, wait_until

RATE = 50


def pid_of(stack, service):
    """The process id of a running service."""
    found = [one for one in stack.runtime.status() if one["service"] == service]
    return found[0]["pid"] if found else None


def kill(stack, service):
    """End a service as a crash would: kill -9 of its process and of the processes it started."""
    process = psutil.Process(pid_of(stack, service))
    victims = [process, *process.children(recursive=True)]
    for victim in victims:
        victim.send_signal(signal.SIGKILL)
    return process.pid


def wait_for_restart(stack, service, old, deadline=90):
    """Wait until a service is ready again as another process."""

    def restarted():
        now = [one for one in stack.runtime.status() if one["service"] == service]
        return now and now[0]["state"] == "ready" and now[0]["pid"] != old

    wait_until(restarted, deadline, lambda: f"{service} is not back: {stack.runtime.status()}")


@pytest.mark.parametrize("service", ["prediction-server", "kafka"])
def test_no_request_is_lost_when_a_process_on_its_way_is_killed(stack, first_version, ledger, service):
    """
    Kill -9 of the server or of the broker under traffic delays answers and loses none.
    """
    with ledger.traffic(rate=RATE, settle=120):
        pause(5)
        old = kill(stack, service)
        wait_for_restart(stack, service, old)
        pause(5)

    assert set() == ledger.missing()
    assert len(ledger.sends()) > 10 * RATE


@pytest.mark.parametrize("service", ["namenode", "new-data-watcher", "new-model-watcher", "supervisor"])
def test_a_batch_becomes_a_version_whatever_was_killed_meanwhile(stack, pipeline, first_version, service):
    """
    Kill -9 of the NameNode, a watcher or the supervisor during a training changes nothing in the end.
    """
    before = len(pipeline.versions())
    batch = pipeline.drop_batch(BATON_SLICE_ROWS="3000")
    wait_until(
        lambda: str(pipeline.orchestrator.training_state(batch.content_hash).state) == "running",
        60,
        lambda: f"the training did not start: {pipeline.orchestrator.training_state(batch.content_hash)}",
    )
    if service == "supervisor":
        os.kill(pid_of(stack, service), signal.SIGKILL)
        stack.up("used_cars", None, **{k: v for k, v in stack.settings.items() if k != "BATON_DATASET"})
    else:
        wait_for_restart(stack, service, kill(stack, service))

    version = pipeline.wait_for_version_trained_on(batch)
    pipeline.wait_until_served(version)

    assert before + 1 == len(pipeline.versions())


def test_a_killed_training_is_run_again_and_gives_one_version(stack, pipeline, first_version):
    """
    Kill -9 of the trainer leaves no second version and no lost batch.
    """
    before = len(pipeline.versions())
    batch = pipeline.drop_batch()
    trainer = wait_until(lambda: pid_of(stack, "trainer"), 60, "the trainer did not start")
    pause(8)
    for victim in [*psutil.Process(trainer).children(recursive=True), psutil.Process(trainer)]:
        victim.send_signal(signal.SIGKILL)

    version = pipeline.wait_for_version_trained_on(batch)

    assert before + 1 == len(pipeline.versions())
    assert pipeline.orchestrator.training_state(batch.content_hash).attempts == 2
    pipeline.wait_until_served(version)
