"""Status on stacks that are down or half dead, of which every service is a record or a process of the test."""

import json
import os
import re
import time
from datetime import UTC, datetime
from types import SimpleNamespace as Made

import psutil
import pytest

from apps.common import registry
from apps.common.batches import Entry
from apps.common.exit_codes import Outcome
from apps.common.schedule import Schedule, ScheduleMark, hash_of
from apps.orchestrator.embedded import EmbeddedOrchestrator
from apps.orchestrator.port import TrainingState
from stack.cli import schedule, status
from stack.cli.console import show
from stack.cli.stack import Mode
from stack.cli.status import champion_problems, problems_of
from stack.embedded.process import Identity
from stack.embedded.supervisor.state import RunPlan, ServiceRecord, ServiceState, SupervisorRecords
from stack.runtime import GONE, ServiceStatus
from tests.toys import toy

NOBODY = Identity(2**22 - 3, 1.0)  # no process has this number and this time of birth


def write_records(state, **identities):
    """What a supervisor leaves: each service was ready with a process."""
    records = [
        ServiceRecord(name, ServiceState.READY, time.time(), pid=one.pid, created=one.created)
        for name, one in identities.items()
    ]
    SupervisorRecords(state).write_status(records, RunPlan(tuple(identities), {}))


def test_a_stack_that_is_down_says_how_it_is_started(checkout):
    """Nothing was ever started: exit code 3, and the command that starts it."""
    code, out, _ = checkout.run("status")

    assert 3 == code
    assert "! the stack is down; ./baton up starts it\n" == out


def test_after_a_restart_of_the_machine_status_says_so(checkout):
    """Every process is gone and nobody ran down: the reason is guessed at in words, and up is named."""
    write_records(checkout.keep("embedded"), supervisor=NOBODY, kafka=NOBODY)
    code, out, _ = checkout.run("status", "--json")
    known = json.loads(out)

    assert 3 == code
    assert ["was this machine restarted? ./baton up starts it again" in text for text in known["problems"]] == [True]
    assert {GONE} == {service["error"] for service in known["services"]}


def test_a_supervisor_that_is_gone_is_named_first(checkout):
    """A service runs and the supervisor does not: status says that up mends it, in a few seconds."""
    write_records(checkout.keep("embedded"), supervisor=NOBODY, postgres=Identity.of(psutil.Process(os.getpid())))
    code, out, _ = checkout.run("status")

    assert 3 == code
    assert "! the supervisor is gone, and what crashes stays down (1 services run on); mend it: ./baton up" in out


def test_a_stack_without_docker_is_told_by_its_cause(checkout):
    """Docker is away: cluster mode says that Docker must answer, and does not call the stack down."""
    checkout.keep("cluster")
    code, out, _ = checkout.run("status", "--mode", "cluster", DOCKER_HOST="unix:///nonexistent")

    assert 3 == code
    assert "Docker must answer" in out
    assert "./baton up --mode cluster" in out


@pytest.mark.parametrize(
    ("mode", "logs"), [(Mode.EMBEDDED, "./baton logs kafka"), (Mode.CLUSTER, "./baton logs kafka --mode cluster")]
)
def test_a_service_that_is_not_up_is_named_with_its_error(mode, logs):
    """What is starting again is a problem with its error and its log; what is up is none."""
    services = [
        ServiceStatus("supervisor", "ready", ("1",)),
        ServiceStatus("kafka", "crashed", error="no space left"),
        ServiceStatus("mlflow", "ready", ("2",)),
    ]
    problems = problems_of(services, mode)

    assert 1 == len(problems)
    assert problems[0].startswith("kafka is crashed: no space left; ")
    assert problems[0].endswith(logs)


class ListedBatches:
    """Batches as status sees them."""

    def __init__(self, **places):
        """``places`` are lists of names."""
        self.places = places

    def names(self, place):
        """The batches there."""
        return self.places[place]

    def entries(self, place):
        """The batches there, all complete."""
        return [Entry(name, 0.0, complete=True) for name in self.places[place]]

    def manifest(self, _place, name):
        """A batch's content is called as itself."""
        return Made(content_hash=f"hash of {name}")


def test_status_tells_what_each_training_and_release_waits_for(tmp_path, capsys):
    """Outcome, tries, reason and the time of the next try, for batches in landing and in used and for the release."""
    orchestrator = EmbeddedOrchestrator(tmp_path)
    for name, outcome in (("b-1", Outcome.COULD_NOT), ("b-2", Outcome.CRASHED)):
        orchestrator.start_training(name, f"hash of {name}")
        orchestrator.fail_training(f"hash of {name}", outcome, f"the reason of {name}")
    orchestrator.roll_out(toy("7"))
    orchestrator.fail_release(1, Outcome.COULD_NOT, "MLflow must answer")
    store = ListedBatches(landing=["b-2", "b-3"], used=["b-0", "b-1"], refused=[])
    known = {
        "services": [],
        "set": {},
        "serving": None,
        "wanted": status._release(orchestrator.served().wanted),  # noqa: SLF001 - as asked of a stack that runs
        "batches": status._batches(Made(store=store, orchestrator=orchestrator)),  # noqa: SLF001
    }

    for part in status.tables(known):
        show(part)
    said = capsys.readouterr().out

    assert re.search(
        r"release 1 of version 7 is starting; could not \(1 try\), again in \d s: MLflow must answer", said
    )
    assert re.search(r"b-0 +used\n", said)
    assert re.search(r"b-1 +used +training: failed; could not \(1 try\), again in \d s: the reason of b-1", said)
    assert re.search(r"b-2 +landing +training: failed; crashed \(1 try\), again in \d s: the reason of b-2", said)
    assert re.search(r"b-3 +landing +training: absent\n", said)
    assert json.loads(json.dumps(known))["batches"]["landing"][0]["outcome"] == "crashed"


def test_a_scheduled_training_that_is_not_done_stands_among_the_batches(tmp_path, capsys):
    """It has no batch of its own, and what it waits for is told all the same; of those before it versions tell."""
    orchestrator = EmbeddedOrchestrator(tmp_path)
    done, given_up, newest = (f"schedule-202611{day}T020000Z" for day in (26, 27, 28))
    for name in (done, given_up, newest):
        orchestrator.start_training(name, hash_of(name))
        orchestrator.mark_training(hash_of(done), TrainingState.SUCCEEDED)
        orchestrator.fail_training(hash_of(given_up), Outcome.REFUSED)
    store = ListedBatches(landing=[], used=["b-0"], refused=[])
    told = status._batches(Made(store=store, orchestrator=orchestrator))  # noqa: SLF001 - as asked of a stack that runs

    for part in status.tables({"services": [], "set": {}, "batches": told}):
        show(part)
    said = capsys.readouterr().out

    assert re.search(r"b-0 +used\n", said)
    assert re.search(rf"{newest} +schedule +training: requested\n", said)
    assert not [name for name in (done, given_up) if name in said]


def test_status_tells_the_next_instant_what_waits_and_what_was_missed(monkeypatch, capsys):
    """In the zone of the schedule; of a schedule that no watcher has seen yet only when it comes next."""
    nightly = Schedule("0 2 * * *", "Europe/Berlin")
    until = datetime(2026, 11, 25, 1, tzinfo=UTC)
    marks = [
        None,
        ScheduleMark(nightly, until),
        ScheduleMark(nightly, until, 3),
        ScheduleMark(Schedule("0 3 * * *", "UTC"), until, 3),
    ]
    pipeline = Made(
        environment={"BATON_MLFLOW": "", "BATON_SCHEDULE": " 0 2  * * * ", "BATON_SCHEDULE_ZONE": "Europe/Berlin"},
        names=Made(model="baton.cars"),
    )
    assert nightly == schedule.set_for(pipeline)
    assert schedule.set_for(Made(environment={})) is None

    for mark in marks:
        monkeypatch.setattr(registry, "schedule_mark", lambda *_, mark=mark: mark)
        told = schedule.as_json(pipeline, nightly, datetime(2026, 11, 27, 12, tzinfo=UTC).timestamp())
        for part in status.tables({"services": [], "set": {}, "schedule": json.loads(json.dumps(told))}):
            show(part)
    lines = capsys.readouterr().out.splitlines()

    nexts = "schedule: 0 2 * * * (Europe/Berlin); next 2026-11-28T02:00:00+01:00"
    waits = "; 2 passed and wait for the trainer, a batch or the watcher"
    assert [nexts, nexts + waits, f"{nexts}{waits}; 3 missed before 2026-11-25T02:00:00+01:00", nexts] == lines


def test_a_persons_kafka_that_does_not_answer_is_a_problem_with_what_says_why():
    """No service of the stack stands for it, and no log of the stack tells of it."""
    told = {"BATON_KAFKA": "127.0.0.1:1"}
    pipeline = Made(served=lambda: None, environment=told, dataset="cars")  # asked for more it has none
    stack = Made(pipeline=lambda: pipeline, settings=told, mode=Mode.EMBEDDED)
    known = {"problems": []}
    status._ask_services(stack, known, set())  # noqa: SLF001 - as asked of a stack that runs

    kafka = [text for text in known["problems"] if text.startswith("kafka is not the stack's own and does not answer")]
    assert [True] == ["./baton doctor says why" in text for text in kafka]


SERVES = {"version": "3", "release": 5, "state": "serving"}


@pytest.mark.parametrize(
    ("known", "said"),
    [
        ({}, ""),
        ({"serving": None, "champion": None}, ""),
        ({"serving": SERVES, "champion": "3", "versions": [{"version": "3"}]}, ""),
        ({"serving": SERVES}, ""),
        ({"serving": SERVES, "champion": None}, "got none, while version 3 serves; point it at one"),
        ({"serving": SERVES, "champion": None, "versions": [{"version": "3"}]}, "while version 3 serves; point it"),
        (
            {"serving": SERVES, "champion": None, "versions": [{"version": "2"}]},
            "while version 3 serves, and MLflow has that version no more; point it at one: ./baton open mlflow --mode",
        ),
    ],
    ids=["nothing known", "nothing yet", "well", "MLflow away", "versions unknown", "alias taken away", "deleted"],
)
def test_an_alias_that_is_gone_while_something_serves_is_a_problem(known, said):
    """Nothing new is rolled out then, and a restart rests on the files kept in HDFS: status says what mends it."""
    problems = champion_problems(known, Mode.CLUSTER)

    assert bool(said) == len(problems)
    assert all(said in text for text in problems)


@pytest.mark.parametrize(("champion", "shown"), [("1", True), ("2", False)])
def test_a_version_that_was_not_made_champion_says_why_until_it_is(capsys, champion, shown):
    """The reason of its training stands beside its metrics."""
    version = {
        "version": "2",
        "batch": "b-2",
        "withheld": "the alias was moved",
        "alarm": "",
        "metrics": {"test_r2": 0.9},
    }
    known = {"services": [], "set": {}, "champion": champion, "versions": [version]}

    for part in status.tables(known):
        show(part)

    assert shown is ("test_r2 0.9  not made champion: the alias was moved" in capsys.readouterr().out)
