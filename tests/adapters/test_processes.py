"""Real processes under supervision, with small programs in the apps' place: adoption, hand-over, trainings, the end."""

import signal
import subprocess
import sys
import time
from dataclasses import replace

import psutil
import pytest

from apps.common.exit_codes import CRASHED, FAILED, REFUSED, Outcome
from apps.common.waiting import pause, wait_until
from apps.orchestrator import port
from apps.orchestrator.embedded import EmbeddedOrchestrator
from apps.orchestrator.port import ReleaseState, TrainingState
from stack import services
from stack.embedded.process import MARK, Child, Identity, marked
from stack.embedded.runtime import EmbeddedRuntime
from stack.embedded.services.spec import StackContext
from stack.embedded.supervisor.rollout import Rollout
from stack.embedded.supervisor.shutdown import end_strays
from stack.embedded.supervisor.state import ServiceState
from stack.embedded.supervisor.training import TrainerProcess
from stack.environment import inherited
from stack.logs import bound
from tests.toys import toy

READY = {"kafka", "mlflow", "namenode", "datanode"}
DEADLINE = 20

# Says that it is ready, unless its version is the name of another end; does not listen to SIGTERM, as a JVM in trouble
# would not.
SERVER = f"""
import json, os, pathlib, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
version = os.environ.get("BATON_MODEL_VERSION", "")
ends = {{"refused": {REFUSED}, "crashed": {CRASHED}}}
if version == "early" and not (pathlib.Path(os.environ["PYTHONPATH"]) / "mlflow is back").exists():
    ends[version] = {FAILED}
if version in ends:
    print("error: why it is", version, flush=True)
    sys.exit(ends[version])
ready = pathlib.Path(os.environ["BATON_READY_FILE"])
time.sleep(0 if version != "slow" else 60)
ready.with_suffix(".tmp").write_text(json.dumps({{"release": int(os.environ["BATON_RELEASE"])}}))
ready.with_suffix(".tmp").replace(ready)
time.sleep(600)
"""
TRAINER = f"""
import os, signal, sys, time
batch = os.environ["BATON_BATCH"]
print("error: why it is", batch, "with", os.environ["BATON_CONTENT_HASH"], flush=True)
time.sleep(60 if batch == "long" else 0)
if batch == "killed":
    os.kill(os.getpid(), signal.SIGKILL)
sys.exit({{"refused": {REFUSED}, "could not": {FAILED}, "crashed": {CRASHED}}}.get(batch, 0))
"""


@pytest.fixture
def context(tmp_path):
    """A state folder with small programs; whatever was started in it is ended."""
    (tmp_path / "small_server.py").write_text(SERVER)
    (tmp_path / "small_trainer.py").write_text(TRAINER)
    context = StackContext(tmp_path, services.load(), inherited())
    yield context
    end_strays(tmp_path)


@pytest.fixture
def orchestrator(context):
    """The wishes."""
    return EmbeddedOrchestrator(context.state)


def serving(context, orchestrator):
    """A supervision of servers, as a supervisor that starts makes it."""
    service = replace(context.service("prediction-server"), module="small_server")
    return Rollout(service, context, {"PYTHONPATH": str(context.state)}, orchestrator)


def training(context, orchestrator, **told):
    """A supervision of trainers, as a supervisor that starts makes it; ``told`` are variables of the trainer."""
    service = replace(context.service("trainer"), module="small_trainer")
    return TrainerProcess(service, context, {"PYTHONPATH": str(context.state), **told}, orchestrator)


def status_of(orchestrator):
    """Where the training on the content h1 stands."""
    return orchestrator.trainings()["h1"]


def advance(one, condition):
    """Let it take steps until the condition holds."""

    def step():
        one.advance(READY)
        return condition()

    wait_until(step, DEADLINE, lambda: str(getattr(one, "records", None) or one.record), 0.02)


def releases(one):
    """Release and state of each server there is."""
    return [(record.release, str(record.state)) for record in one.records]


def sleeper(context, code="import time; time.sleep(600)"):
    """A process that lives until it is ended."""
    return Child.start([sys.executable, "-c", code], context.marked({}), context.log("sleeper"), context.state)


def test_a_process_is_ended_with_everything_it_started(context):
    """Killing a child reaches its grandchildren too, even when the child itself has died before."""
    code = "import subprocess, time; subprocess.Popen(['sleep', '600']); time.sleep(600)"
    child = sleeper(context, code)
    wait_until(lambda: len(child.members()) == 2, DEADLINE, "the grandchild must start")
    child.send(signal.SIGKILL)
    wait_until(lambda: not child.alive(), DEADLINE, "the child must die")

    assert ["sleep"] == [process.name() for process in child.members()]

    child.kill()

    wait_until(lambda: not child.members(), DEADLINE, lambda: str(child.members()))


def test_a_number_given_to_a_stranger_is_not_adopted_and_not_ended(context):
    """A process is known by its number and its start time; another one with the number is left alone."""
    stranger = subprocess.Popen(["sleep", "600"], start_new_session=True)
    impostor = replace(Identity.of(psutil.Process(stranger.pid)), created=17.5)

    assert Child.adopt(impostor) is None

    Child(impostor).kill()

    assert stranger.poll() is None
    stranger.kill()
    stranger.wait()


def test_strays_are_ended_and_strangers_are_not(context):
    """A process that carries the mark and is in no record ends; one of another stack, and a known one, go on."""
    known, stray = sleeper(context), sleeper(context)
    other = subprocess.Popen(["sleep", "600"], env={**inherited(), MARK: "/another/stack"}, start_new_session=True)
    both = {known.pid, stray.pid}  # a process has its environment once it has become its program
    wait_until(lambda: both == {one.pid for one in marked(context.state)}, DEADLINE, "both must be known")
    end_strays(context.state, [known])
    wait_until(lambda: not stray.alive(), DEADLINE, "the stray must end")

    assert known.alive()
    assert other.poll() is None
    assert [known.pid] == [process.pid for process in marked(context.state)]
    other.kill()
    other.wait()


def test_what_a_command_starts_ends_with_the_stack_and_not_with_its_supervisor(context):
    """A sender of ``./baton traffic``: a supervisor that takes over lets it send, ``down`` ends it."""
    services_own = sleeper(context)
    runtime = EmbeddedRuntime(context.state)
    sender = subprocess.Popen(["sleep", "600"], env=runtime.attach().environment, start_new_session=True)
    wait_until(lambda: sender.pid in {one.pid for one in runtime.processes()}, DEADLINE, "the sender must be known")
    end_strays(context.state, by_hand=False)
    wait_until(lambda: not services_own.alive(), DEADLINE, "the stray must end")

    assert sender.poll() is None

    runtime.down()

    assert -signal.SIGKILL == sender.wait(DEADLINE)


def test_the_first_server_waits_and_makes_room_for_the_first_version(context, orchestrator):
    """Release 0 is there at once; release 1 takes over, the old one ends although it ignores SIGTERM."""
    one = serving(context, orchestrator)
    advance(one, lambda: releases(one) == [(0, "ready")])
    old = one.children[0]
    orchestrator.roll_out(toy("7"))
    advance(one, lambda: orchestrator.served().serving is not None)

    assert old.alive()
    assert ("7", ReleaseState.SERVING) == (orchestrator.served().serving.version, orchestrator.served().serving.state)

    advance(one, lambda: not old.alive())

    assert [(1, "ready")] == releases(one)
    assert 1 == len(list((context.state / "servers").iterdir()))


@pytest.mark.parametrize(("version", "tries"), [("refused", 1), ("crashed", 3)])
def test_a_version_that_is_at_fault_is_given_up_and_the_old_one_goes_on(
    context, orchestrator, monkeypatch, version, tries
):
    """A refusal is final at once, a crash at the third time; the server before was never touched."""
    monkeypatch.setattr(port, "FIRST_RETRY_S", 0.1)
    orchestrator.roll_out(toy("7"))
    one = serving(context, orchestrator)
    advance(one, lambda: releases(one) == [(1, "ready")])
    serves = one.children[0].pid
    orchestrator.roll_out(toy(version))
    advance(one, lambda: orchestrator.served().wanted.state is ReleaseState.FAILED)
    failure = orchestrator.served().wanted.failure

    assert [(1, "ready")] == releases(one)
    assert serves == one.children[0].pid
    assert (version, f"error: why it is {version}", tries) == (str(failure.outcome), failure.reason, failure.tries)
    assert tries == context.log("prediction-server").read_text().count("why it is")


def test_a_version_that_cannot_start_yet_is_tried_until_it_can(context, orchestrator, monkeypatch):
    """However often what it needs was away, a release is not given up; its reason can be read meanwhile."""
    monkeypatch.setattr(port, "FIRST_RETRY_S", 0.05)
    monkeypatch.setattr(port, "LONGEST_RETRY_S", 0.1)
    one = serving(context, orchestrator)
    advance(one, lambda: releases(one) == [(0, "ready")])
    orchestrator.roll_out(toy("early"))
    advance(one, lambda: (failure := orchestrator.served().wanted.failure) and failure.tries >= 4)
    waiting = orchestrator.served().wanted
    (context.state / "mlflow is back").touch()
    advance(one, lambda: orchestrator.served().serving is not None)

    assert (ReleaseState.STARTING, Outcome.COULD_NOT) == (waiting.state, waiting.failure.outcome)
    assert "error: why it is early" == waiting.failure.reason
    assert orchestrator.served().serving.failure is None


def test_a_version_that_waits_to_be_tried_again_is_left_to_the_next_supervisor(context, orchestrator, monkeypatch):
    """How often and when stands in the wish, so that a supervisor that was killed loses neither."""
    monkeypatch.setattr(port, "FIRST_RETRY_S", 600)
    monkeypatch.setattr(port, "LONGEST_RETRY_S", 600)
    first = serving(context, orchestrator)
    advance(first, lambda: releases(first) == [(0, "ready")])
    orchestrator.roll_out(toy("crashed"))
    advance(first, lambda: orchestrator.served().wanted.failure is not None)
    second = serving(context, orchestrator)
    for record in first.records:
        second.adopt(record)
    for _ in range(5):
        second.advance(READY)

    assert [(0, "ready")] == releases(second)
    assert 1 == orchestrator.served().wanted.failure.tries


def test_a_server_that_dies_while_the_platform_is_away_is_held_against_no_version(context, orchestrator):
    """MLflow is not ready when the new server dies: that says nothing about the version."""
    one = serving(context, orchestrator)
    advance(one, lambda: releases(one) == [(0, "ready")])
    orchestrator.roll_out(toy("slow"))
    advance(one, lambda: len(one.children) == 2)
    one.children[1].send(signal.SIGKILL)
    wait_until(lambda: not one.children[1].alive(), DEADLINE, "the server must die")
    one.advance({"kafka", "namenode"})
    failure = orchestrator.served().wanted.failure

    assert (Outcome.COULD_NOT, 0) == (failure.outcome, failure.crashes)
    assert "ended by SIGKILL; not ready at that moment: mlflow" == failure.reason


def test_a_newer_wish_overtakes_a_release_that_is_starting(context, orchestrator):
    """The starting release is abandoned, and the newest is begun."""
    one = serving(context, orchestrator)
    orchestrator.roll_out(toy("slow"))
    advance(one, lambda: releases(one) == [(0, "ready"), (1, "starting")])
    slow = one.children[1]
    orchestrator.roll_out(toy("8"))
    advance(one, lambda: releases(one) == [(2, "ready")])

    assert not slow.alive()
    assert "8" == orchestrator.served().serving.version


def test_a_server_that_was_killed_comes_back_with_its_version(context, orchestrator):
    """Kill -9 of the server that serves starts the same version and release again."""
    orchestrator.roll_out(toy("7"))
    one = serving(context, orchestrator)
    advance(one, lambda: releases(one) == [(1, "ready")])
    killed = one.children[0]
    killed.send(signal.SIGKILL)
    advance(one, lambda: one.records[0].restarts == 1 and one.records[0].state is ServiceState.READY)

    assert (1, "7") == (one.records[0].release, one.records[0].target.version)
    assert killed.pid != one.children[0].pid


def test_a_supervisor_that_starts_amid_a_hand_over_finishes_it(context, orchestrator):
    """The successor adopts both servers, starts none, and switches."""
    first = serving(context, orchestrator)
    advance(first, lambda: releases(first) == [(0, "ready")])
    orchestrator.roll_out(toy("7"))
    advance(first, lambda: len(first.children) == 2)
    pids = {child.pid for child in first.children}

    second = serving(context, orchestrator)
    for record in first.records:
        second.adopt(record)
    second.clean()

    assert pids == {child.pid for child in second.children}

    advance(second, lambda: releases(second) == [(1, "ready")] and len(second.children) == 1)

    assert {child.pid for child in second.children} < pids
    assert "7" == orchestrator.served().serving.version


def test_a_trainer_that_ends_well_has_done_its_training(context, orchestrator):
    """Exit code 0 is success; then the next training may be asked for."""
    one = training(context, orchestrator)
    orchestrator.start_training("good", "h1")
    advance(one, lambda: status_of(orchestrator).state is TrainingState.SUCCEEDED)

    assert (ServiceState.READY, 0, "") == (one.record.state, one.record.restarts, one.record.error)


@pytest.mark.parametrize(
    ("batch", "outcome", "reason"),
    [
        ("refused", Outcome.REFUSED, "error: why it is refused with h1"),
        ("could not", Outcome.COULD_NOT, "error: why it is could not with h1"),
        ("crashed", Outcome.CRASHED, "error: why it is crashed with h1"),
        ("killed", Outcome.CRASHED, "ended by SIGKILL"),
    ],
)
def test_the_exit_code_of_the_trainer_is_the_outcome_of_the_training(context, orchestrator, batch, outcome, reason):
    """A training that failed says how and why; a refusal is no fault of the trainer."""
    one = training(context, orchestrator)
    orchestrator.start_training(batch, "h1")
    advance(one, lambda: status_of(orchestrator).state is TrainingState.FAILED)
    failure = status_of(orchestrator).failure

    assert (outcome, reason) == (failure.outcome, failure.reason)
    assert ServiceState.READY is one.record.state
    assert (outcome is not Outcome.REFUSED) == one.record.restarts


def test_a_trainer_that_dies_while_hdfs_is_away_is_held_against_no_batch(context, orchestrator):
    """A crash counts only when what the trainer needs was there."""
    one = training(context, orchestrator)
    orchestrator.start_training("long", "h1")
    advance(one, lambda: one.child is not None)
    one.child.send(signal.SIGKILL)
    wait_until(lambda: not one.child.alive(), DEADLINE, "the trainer must die")
    one.advance({"mlflow", "datanode"})

    assert Outcome.COULD_NOT is status_of(orchestrator).failure.outcome
    assert "ended by SIGKILL; not ready at that moment: namenode" == status_of(orchestrator).failure.reason


def test_a_training_that_hangs_is_ended_at_its_deadline(context, orchestrator):
    """Also by a supervisor that did not start it: it counts as a crash, and nothing of it is left."""
    first = training(context, orchestrator)
    orchestrator.start_training("long", "h1")
    advance(first, lambda: first.child is not None)
    second = training(context, orchestrator, BATON_TRAINING_DEADLINE_S="1")
    second.reconcile()
    advance(second, lambda: status_of(orchestrator).state is TrainingState.FAILED)
    failure = status_of(orchestrator).failure

    assert (Outcome.CRASHED, "it must end within 1 s; it did not") == (failure.outcome, failure.reason)
    wait_until(lambda: not first.child.alive(), 10, "a killed trainer must be gone")


def test_the_trainer_runs_behind_everything_else(context, orchestrator):
    """Serving comes first: the trainer's niceness is 15."""
    one = training(context, orchestrator)
    orchestrator.start_training("long", "h1")
    advance(one, lambda: one.child is not None)

    wait_until(lambda: psutil.Process(one.child.pid).nice() == 15, DEADLINE, "nice must take effect")


def test_a_trainer_that_outlives_its_supervisor_is_adopted(context, orchestrator):
    """The successor starts no second trainer; how one ends that it did not start is not known, and so no crash."""
    first = training(context, orchestrator)
    orchestrator.start_training("long", "h1")
    advance(first, lambda: first.child is not None)

    second = training(context, orchestrator)
    second.reconcile()
    second.advance(READY)

    assert first.child.pid == second.child.pid

    second.child.send(signal.SIGKILL)
    first.child.kill()
    advance(second, lambda: status_of(orchestrator).state is TrainingState.FAILED)

    assert Outcome.COULD_NOT is status_of(orchestrator).failure.outcome


def test_a_training_whose_trainer_is_gone_has_failed_by_nobodys_fault(context, orchestrator):
    """A supervisor that finds no trainer behind a running training says so, and the watcher may ask again."""
    orchestrator.start_training("long", "h1")
    orchestrator.mark_training("h1", TrainingState.RUNNING, pid=2**22 + 1, created=time.time())
    training(context, orchestrator).reconcile()

    assert TrainingState.FAILED is status_of(orchestrator).state
    assert Outcome.COULD_NOT is status_of(orchestrator).failure.outcome


def test_a_training_that_was_stopped_on_purpose_is_asked_for_again(context, orchestrator):
    """`down` during a training costs it no attempt."""
    one = training(context, orchestrator)
    orchestrator.start_training("long", "h1")
    advance(one, lambda: one.child is not None)
    one.child.kill()
    one.interrupt()
    status = status_of(orchestrator)

    assert (TrainingState.REQUESTED, 1, None) == (status.state, status.attempts, status.failure)


def test_a_training_waits_for_what_it_needs(context, orchestrator):
    """Without HDFS no trainer is started."""
    one = training(context, orchestrator)
    orchestrator.start_training("good", "h1")
    for _ in range(3):
        one.advance({"mlflow"})
        pause(0.05)

    assert one.child is None
    assert TrainingState.REQUESTED is status_of(orchestrator).state


def test_a_service_goes_on_writing_to_a_log_that_was_cut(context):
    """Its lines stand at the new beginning, without a hole before them."""
    log = context.log("chatty")
    program = "import itertools, time\nfor n in itertools.count(): print(n, flush=True), time.sleep(0.01)"
    child = Child.start([sys.executable, "-c", program], context.marked({}), log, context.state)
    try:
        wait_until(lambda: log.exists() and log.stat().st_size > 40, DEADLINE, "nothing is written")
        bound(log.parent, limit=40)
        before = log.with_name("chatty.log.1").read_text().split()
        wait_until(lambda: len(log.read_text().split()) > 3, DEADLINE, "nothing is written any more")
    finally:
        child.kill()

    after = log.read_text().split()
    assert [str(number) for number in range(len(before))] == before
    assert int(after[0]) in range(len(before), len(before) + 3)  # a line that was written just then may be lost
    assert [str(int(after[0]) + number) for number in range(len(after))] == after
