"""What ``up`` gives a stack and keeps of it, over a runtime that starts nothing."""

import json
import os
from dataclasses import replace

import pytest

from apps import datasets
from apps.common.errors import BatonError
from apps.orchestrator.embedded import EmbeddedOrchestrator
from stack.cli.stack import Mode, Stack, _say
from stack.environment import ROOT
from stack.runtime import RunningStack

KEPT = {"BATON_DATASET": "boston_housing", "BATON_TREES": "40"}


class StillRuntime:
    """A runtime of which everything is as ``runs`` says; ``up`` fails where ``failure`` is set."""

    def __init__(self, state, *, runs=False, failure=None):
        """Nothing was started; what is wanted of a release is in ``state``."""
        self.state = state
        self.runs = runs
        self.failure = failure
        self.ups = 0

    def running(self):
        """Whether it runs."""
        return self.runs

    def up(self, _services, _report):
        """Start nothing."""
        self.ups += 1
        if self.failure:
            raise self.failure

    def attach(self):
        """Its orchestrator."""
        return RunningStack({}, EmbeddedOrchestrator(self.state), apps=None)


@pytest.fixture(autouse=True)
def bare_shell(monkeypatch):
    """A shell without a variable of ours, whatever that of whoever tests has."""
    for name in [name for name in os.environ if name.startswith("BATON_")]:  # noqa: TID251
        monkeypatch.delenv(name)


@pytest.fixture
def stack(tmp_path, monkeypatch):
    """A stack in a folder of the test's own, brought up at some time with another dataset and a setting."""
    monkeypatch.setattr("stack.cli.stack.ROOT", tmp_path)
    monkeypatch.setattr(Stack, "runtime", StillRuntime(tmp_path))
    _say.cache_clear()
    stack = Stack()
    stack.state.mkdir(parents=True)
    (stack.state / "settings.json").write_text(json.dumps(KEPT))
    return stack


@pytest.mark.parametrize("runs", [True, False])
def test_up_without_options_takes_those_of_the_last_up(stack, monkeypatch, capsys, runs):
    """``status`` says ``mend it: ./baton up`` of a stack half dead, and after a restart of the machine: so it does."""
    runtime = StillRuntime(stack.state, runs=runs)
    monkeypatch.setattr(Stack, "runtime", runtime)
    stack.up()

    assert (1, KEPT) == (runtime.ups, stack.settings)
    assert "as at the last up: dataset boston_housing, trees 40" in capsys.readouterr().err


def test_up_with_any_option_takes_exactly_these(stack, capsys):
    """What is said on the command line stands for itself: nothing of the last up is mixed in but its data's dataset."""
    stack.up(BATON_HEAP="1g")

    assert {"BATON_DATASET": "boston_housing", "BATON_HEAP": "1g"} == stack.settings
    assert "trees 240 instead of 40, heap 1g instead of none" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (
            {"dataset": "used_cars"},
            r"dataset of .* must stay boston_housing; got used_cars; first run \./baton reset, which",
        ),
        ({"BATON_STACK": "cars"}, r"name of .* must stay baton; got cars; first run \./baton reset,"),
    ],
)
@pytest.mark.parametrize("runs", [True, False])
def test_another_dataset_or_name_on_the_same_data_is_refused_with_the_remedy(stack, monkeypatch, runs, given, words):
    """Whether it runs or not: the model, the batches and the waiting requests are the other dataset's."""
    runtime = StillRuntime(stack.state, runs=runs)
    monkeypatch.setattr(Stack, "runtime", runtime)

    with pytest.raises(BatonError, match=words):
        stack.up(**given)
    assert (0, KEPT) == (runtime.ups, stack.settings)


KAFKA = {"BATON_KAFKA": "broker:9092", "BATON_KAFKA_PROTOCOL": "SSL"}


def test_a_kafka_of_a_person_stays_with_the_data_whatever_else_is_said(stack):
    """What waits there is owed an answer: another up does not leave it, and how it is reached may change."""
    kept = KAFKA | {"BATON_KAFKA_USER": "cars"}
    (stack.state / "settings.json").write_text(json.dumps(KEPT | kept))
    stack.up(BATON_HEAP="1g", BATON_KAFKA_PROTOCOL="PLAINTEXT", BATON_KAFKA="broker:9092,other:9092")

    told = {
        "BATON_KAFKA": "broker:9092,other:9092",
        "BATON_KAFKA_PROTOCOL": "PLAINTEXT",
        "BATON_HEAP": "1g",
        "BATON_DATASET": "boston_housing",
    }
    assert kept | told == stack.settings


@pytest.mark.parametrize(
    ("kept", "given", "words"),
    [
        ({}, KAFKA, r"the Kafka of .* must stay the stack's own; got broker:9092; first run \./baton reset"),
        ({}, {"BATON_KAFKA_USER": "cars"}, "kafka must be given with kafka_user; got none; add --set kafka=HOST:PORT"),
        (KAFKA, {"BATON_KAFKA_PROTOCOL": "SASL_SSL"}, "BATON_KAFKA_PASSWORD_FILE must be given with SASL_SSL"),
        (KAFKA, {"BATON_KAFKA_CA": "/nowhere"}, "BATON_KAFKA_CA must be valid"),
    ],
)
def test_a_kafka_that_cannot_be_meant_is_refused_before_anything_starts(stack, kept, given, words):
    """Another than the data has, or one that is told by halves."""
    (stack.state / "settings.json").write_text(json.dumps(KEPT | kept))

    with pytest.raises(BatonError, match=words):
        stack.up(**given)
    assert 0 == stack.runtime.ups


def test_in_a_cluster_the_chart_names_kafka(stack):
    """The network policies have to know it too, so an option of ``up`` is refused with the chart's value."""
    with pytest.raises(
        BatonError, match=r"addresses\.kafka of charts/pipeline .*; got --set kafka, kafka_protocol; see"
    ):
        Stack(mode=Mode.CLUSTER).up(**KAFKA)
    assert 0 == stack.runtime.ups


def test_the_first_up_without_options_is_of_used_cars(stack, capsys):
    """Where nothing is kept the default dataset is taken, without a word."""
    (stack.state / "settings.json").unlink()
    stack.up()

    assert {"BATON_DATASET": "used_cars"} == stack.settings
    assert "as at the last up" not in capsys.readouterr().err


def test_the_file_of_the_last_up_must_still_be_there(stack):
    """A source that was moved since is refused before anything starts."""
    (stack.state / "settings.json").write_text(json.dumps(KEPT | {"BATON_SOURCE": "/nowhere/cars.csv"}))

    with pytest.raises(BatonError, match=r"--source must be a CSV file; got /nowhere/cars\.csv"):
        stack.up()
    assert 0 == stack.runtime.ups


@pytest.mark.parametrize("content", ["", "half a fi", "[]", "\x00" * 20])
def test_settings_that_do_not_parse_count_as_none(stack, capsys, content):
    """A file that a machine without power left stops no command; one sentence says what it was."""
    (stack.state / "settings.json").write_text(content)

    assert {} == stack.settings
    assert "settings.json must hold the settings of the last up; it does not, and counts as none" in (
        capsys.readouterr().err.replace("\n", "")
    )


def test_a_failed_up_that_left_nothing_running_keeps_the_settings_before(stack, monkeypatch):
    """The next ``up`` without options starts what ran last, not what never did."""
    monkeypatch.setattr(Stack, "runtime", StillRuntime(stack.state, failure=BatonError("no room")))
    with pytest.raises(BatonError, match="no room"):
        stack.up(BATON_TREES="30")

    assert KEPT == stack.settings


@pytest.mark.parametrize(
    ("name", "mode", "place"),
    [
        ("", Mode.EMBEDDED, "./baton logs kafka"),
        ("", Mode.CLUSTER, "./baton logs kafka --mode cluster"),
        ("demo", Mode.EMBEDDED, "/.baton/embedded-demo/logs/kafka.log"),
        ("demo", Mode.CLUSTER, ""),
    ],
)
def test_a_log_is_where_the_stack_says(name, mode, place):
    """``./baton logs`` shows the user's own stack only; that of a demo has files, or nothing that stays."""
    assert Stack(name, mode).log_of("kafka").removeprefix(str(ROOT)) == place


@pytest.mark.parametrize(("name", "told"), [("", True), ("demo", False)])
def test_a_failed_up_says_what_follows_only_where_something_does(tmp_path, monkeypatch, capsys, name, told):
    """What is ready of the user's own stack runs on; a demo ends everything itself, and another up is none of its."""
    monkeypatch.setattr("stack.cli.stack.ROOT", tmp_path)
    monkeypatch.setattr(Stack, "runtime", StillRuntime(tmp_path, runs=True, failure=BatonError("no room")))
    _say.cache_clear()
    with pytest.raises(BatonError, match="no room"):
        Stack(name).up("used_cars")

    words = "what is ready runs on; ./baton up tries again, ./baton down ends it"
    assert told is (words in capsys.readouterr().err)


@pytest.mark.parametrize("there", [True, False])
def test_only_its_owner_may_enter_the_state_of_a_stack(checkout, there):
    """From ``up`` on, also when the folder was made before and was open, and when nothing else could be started."""
    state = checkout.root / ".baton" / "cluster"
    if there:
        checkout.keep("cluster").chmod(0o755)
    code, _, _ = checkout.run("up", "--mode", "cluster", DOCKER_HOST="unix:///nonexistent")

    assert (1, 0o700) == (code, state.stat().st_mode & 0o777)


def test_a_dataset_without_rows_of_its_own_needs_a_file(stack, monkeypatch):
    """Nothing starts for a declaration that was made of a file, when the file is not named."""
    (stack.state / "settings.json").unlink()
    boston = replace(datasets.get("boston_housing"), load=None)
    monkeypatch.setattr(datasets, "get", lambda _: boston)

    with pytest.raises(BatonError, match="--source must be a CSV file for boston_housing"):
        stack.up("boston_housing")
    assert 0 == stack.runtime.ups
