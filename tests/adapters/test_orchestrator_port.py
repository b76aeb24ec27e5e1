"""What every orchestrator keeps its word on, whatever runs the trainer and the server; one suite for each mode."""

import time

import pytest

from apps.common.exit_codes import Outcome
from apps.orchestrator.embedded import EmbeddedOrchestrator
from apps.orchestrator.port import ABSENT, ReleaseState, Served, TrainingState
from tests.toys import toy


class EmbeddedWorld:
    """The embedded orchestrator, with the tests playing the supervisor."""

    def __init__(self, folder):
        """An empty state folder."""
        self.folder = folder

    @property
    def orchestrator(self):
        """A fresh one for each question, as another process would have."""
        return EmbeddedOrchestrator(self.folder)

    def training_becomes(self, content_hash, state):
        """The trainer got that far."""
        self.orchestrator.mark_training(content_hash, state)

    def training_fails(self, content_hash, outcome=Outcome.CRASHED):
        """The trainer ended so."""
        self.orchestrator.fail_training(content_hash, outcome, "it says why")

    def release_becomes(self, state):
        """The newest release got that far."""
        self.orchestrator.mark_release(self.orchestrator.wanted_release(), state)


@pytest.fixture(params=["embedded"])
def world(request, tmp_path):
    """One orchestrator and whatever runs things for it."""
    return {"embedded": EmbeddedWorld}[request.param](tmp_path)


def state_of(world, content_hash):
    """State and attempts of a training."""
    status = world.orchestrator.trainings().get(content_hash, ABSENT)
    return status.state, status.attempts


def test_nothing_was_trained_and_nothing_serves_at_first(world):
    """
    A new stack knows no training and no release.
    """
    assert {} == world.orchestrator.trainings()
    assert Served(None, None) == world.orchestrator.served()


def test_a_training_is_asked_for_once(world):
    """
    Asking again for the same training changes nothing.
    """
    world.orchestrator.start_training("b-0001", "a" * 64)
    world.orchestrator.start_training("b-0001", "a" * 64)

    assert (TrainingState.REQUESTED, 1) == state_of(world, "a" * 64)
    assert "b-0001" == world.orchestrator.trainings()["a" * 64].batch


@pytest.mark.parametrize("state", [TrainingState.REQUESTED, TrainingState.RUNNING])
def test_there_is_one_training_at_a_time(world, state):
    """
    While one is requested or running, another batch has to wait.
    """
    world.orchestrator.start_training("b-0001", "a" * 64)
    world.training_becomes("a" * 64, state)

    world.orchestrator.start_training("b-0002", "b" * 64)

    assert (state, 1) == state_of(world, "a" * 64)
    assert (TrainingState.ABSENT, 0) == state_of(world, "b" * 64)


def test_a_finished_training_is_remembered_when_the_next_one_runs(world):
    """
    The state of earlier trainings is known by their content hash.
    """
    for name in "abc":
        world.orchestrator.start_training(f"b-{name}", name * 64)
        if name == "a":
            world.training_becomes(name * 64, TrainingState.SUCCEEDED)
        if name == "b":
            world.training_fails(name * 64)

    assert {"a" * 64, "b" * 64, "c" * 64} == world.orchestrator.trainings().keys()
    assert (TrainingState.SUCCEEDED, 1) == state_of(world, "a" * 64)
    assert (TrainingState.FAILED, 1) == state_of(world, "b" * 64)
    assert (TrainingState.REQUESTED, 1) == state_of(world, "c" * 64)


@pytest.mark.parametrize("outcome", list(Outcome))
def test_a_training_that_failed_says_how_when_and_why_also_while_it_is_tried_again(world, outcome):
    """
    The outcome, the time and the reason of the newest try stay until one succeeds; only crashes are counted as such.
    """
    began = time.time()
    for _ in range(2):
        world.orchestrator.start_training("b-0001", "a" * 64)
        world.training_fails("a" * 64, outcome)
    ended = world.orchestrator.trainings()["a" * 64].failure
    world.orchestrator.start_training("b-0001", "a" * 64)
    again = world.orchestrator.trainings()["a" * 64].failure
    world.training_becomes("a" * 64, TrainingState.SUCCEEDED)

    assert (outcome, "it says why", 2) == (ended.outcome, ended.reason, ended.tries)
    assert ended.crashes == (2 if outcome is Outcome.CRASHED else 0)
    assert began <= ended.at <= time.time()
    assert ended == again
    assert world.orchestrator.trainings()["a" * 64].failure is None


def test_a_failed_training_may_be_asked_for_again_and_its_attempts_are_counted(world):
    """
    Each new start counts, also when others were trained in between.
    """
    for attempt in (1, 2):
        world.orchestrator.start_training("b-0001", "a" * 64)
        assert (TrainingState.REQUESTED, attempt) == state_of(world, "a" * 64)
        world.training_fails("a" * 64)
    world.orchestrator.start_training("b-0002", "b" * 64)
    world.training_becomes("b" * 64, TrainingState.SUCCEEDED)

    world.orchestrator.start_training("b-0001", "a" * 64)

    assert (TrainingState.REQUESTED, 3) == state_of(world, "a" * 64)


def test_the_same_content_under_another_name_begins_to_count_anew(world):
    """
    A batch that is dropped again after its training failed gets its own attempts.
    """
    world.orchestrator.start_training("b-0001", "a" * 64)
    world.training_fails("a" * 64)

    world.orchestrator.start_training("b-0002", "a" * 64)

    assert (TrainingState.REQUESTED, 1) == state_of(world, "a" * 64)
    assert world.orchestrator.trainings()["a" * 64].failure is None
    assert "b-0002" == world.orchestrator.trainings()["a" * 64].batch


@pytest.mark.parametrize("state", [ReleaseState.STARTING, ReleaseState.SERVING])
def test_a_version_is_rolled_out_once(world, state):
    """
    Asking again for the version of the newest release gives its number and changes nothing.
    """
    first = world.orchestrator.roll_out(toy("7"))
    world.release_becomes(state)

    assert first == world.orchestrator.roll_out(toy("7"))
    assert state is world.orchestrator.served().wanted.state


def test_what_serves_goes_on_serving_while_the_next_release_starts(world):
    """
    A wish does not change what serves; only the server that is ready does.
    """
    world.orchestrator.roll_out(toy("1"))
    world.release_becomes(ReleaseState.SERVING)

    second = world.orchestrator.roll_out(toy("2"))
    meanwhile = world.orchestrator.served()
    world.release_becomes(ReleaseState.SERVING)
    after = world.orchestrator.served()

    assert ("1", ReleaseState.SERVING) == (meanwhile.serving.version, meanwhile.serving.state)
    assert ("2", ReleaseState.STARTING) == (meanwhile.wanted.version, meanwhile.wanted.state)
    assert (second, "2") == (after.serving.release, after.serving.version)
    assert after.serving == after.wanted


def test_a_release_that_fails_leaves_the_old_one_serving_and_may_be_asked_for_again(world):
    """
    After a failure the old version serves, and a new wish for the failed version is a new release.
    """
    world.orchestrator.roll_out(toy("1"))
    world.release_becomes(ReleaseState.SERVING)
    failed = world.orchestrator.roll_out(toy("2"))
    world.release_becomes(ReleaseState.FAILED)

    served = world.orchestrator.served()

    assert "1" == served.serving.version
    assert (failed, "2", ReleaseState.FAILED) == (served.wanted.release, served.wanted.version, served.wanted.state)
    assert failed < world.orchestrator.roll_out(toy("2"))


def test_release_numbers_only_grow(world):
    """
    Forwards, back, after failures and in other processes: each release has a greater number than all before.
    """
    numbers = []
    for version, state in (("1", "serving"), ("2", "failed"), ("1", "serving"), ("3", "starting"), ("2", "serving")):
        numbers.append(world.orchestrator.roll_out(toy(version)))
        world.release_becomes(ReleaseState(state))

    assert numbers[0] >= 1
    assert sorted(set(numbers)) == numbers
