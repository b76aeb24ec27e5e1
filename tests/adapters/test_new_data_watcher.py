"""The new-data watcher on a real HDFS and the real state files: what lands is trained on or refused."""

import csv
import os
import subprocess
import sys
import time
import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
import structlog
from mlflow import MlflowClient

from apps.common import registry
from apps.common.batches import MANIFEST, REASON, BatchStore
from apps.common.errors import Unavailable
from apps.common.exit_codes import Outcome
from apps.common.manifest import Manifest, describe_part, schema_hash
from apps.common.names import StackNames
from apps.common.schedule import Schedule, hash_of, name_of
from apps.new_data_watcher.watcher import KeptSchedule, NewDataWatcher
from apps.orchestrator import port
from apps.orchestrator.embedded import EmbeddedOrchestrator
from apps.orchestrator.port import ABSENT, TrainingState

COLUMNS = ("id", "price")
CREATED = "2026-01-01T00:00:00Z"


class Scene:
    """A store, an orchestrator and a watcher; the test plays dropper and trainer."""

    def __init__(self, hdfs, folder):
        """Nothing landed yet."""
        self.folder = folder
        self.store = BatchStore(hdfs, StackNames("baton", f"cars_{uuid.uuid4().hex[:8]}"))
        self.orchestrator = EmbeddedOrchestrator(folder)
        self.log = structlog.testing.CapturingLogger()
        self.registry_answers = lambda: None
        self.grace = 600.0
        self.later = 0.0
        self.now = time.time
        self.kept = None

    def put(self, batch, content, **lies):
        """Drop a batch of one row."""
        path = self.folder / "part-0001.csv"
        with path.open("w", newline="") as file:
            csv.writer(file).writerows([COLUMNS, [content, "1"]])
        manifest = Manifest(self.store.dataset, 1, schema_hash(COLUMNS), CREATED, (describe_part(path),))
        self.store.put(batch, [path], replace(manifest, **lies))
        return manifest.content_hash

    def tick(self):
        """A tick of a fresh watcher, as the next process would have it."""
        NewDataWatcher(
            store=self.store,
            orchestrator=self.orchestrator,
            schema_hash=schema_hash(COLUMNS),
            grace=self.grace,
            registry_answers=self.registry_answers,
            kept=self.kept,
            log=self.log,
            clock=lambda: self.now() + self.later,
        ).tick()

    def state(self, content_hash):
        """Where a training stands."""
        return self.orchestrator.trainings().get(content_hash, ABSENT).state

    def reason(self, batch):
        """Why a batch was refused."""
        return self.store.read(f"{self.store.folder('refused', batch)}/{REASON}").decode()


@pytest.fixture
def scene(hdfs, tmp_path):
    """A fresh scene."""
    return Scene(hdfs, tmp_path)


@pytest.mark.parametrize("names", [("june", "july"), ("prices", "corrected-prices"), ("cars-2", "cars-10")])
def test_batches_are_trained_on_one_after_the_other_in_the_order_of_their_numbers(scene, names):
    """
    The second is asked for only when the first has ended and was used, whatever they are called.
    """
    second, first = scene.put(names[1], "b", number=10), scene.put(names[0], "a", number=2)

    scene.tick()
    scene.tick()
    assert (TrainingState.REQUESTED, TrainingState.ABSENT) == (scene.state(first), scene.state(second))

    scene.orchestrator.mark_training(first, TrainingState.SUCCEEDED)
    scene.store.use(names[0])
    scene.tick()
    assert TrainingState.REQUESTED is scene.state(second)


def test_bad_batches_are_refused_with_their_reasons_and_the_good_one_goes_on(scene):
    """
    After the grace time: no manifest, changed bytes, wrong columns and a repeat are in refused/, each with its reason.
    """
    scene.grace = 0.0
    good = scene.put("cars-0005", "good")
    scene.store.write(f"{scene.store.folder('landing', 'cars-0001')}/part-0001.csv", b"half")
    scene.put("cars-0002", "x")
    scene.store.write(f"{scene.store.folder('landing', 'cars-0002')}/part-0001.csv", b"other")
    scene.put("cars-0003", "y", schema_hash="0" * 16)
    scene.store.write(f"{scene.store.folder('landing', 'cars-0004')}/{MANIFEST}", b"{}")

    scene.tick()
    assert TrainingState.REQUESTED is scene.state(good)
    scene.orchestrator.mark_training(good, TrainingState.SUCCEEDED)
    scene.store.use("cars-0005")
    scene.put("cars-0006", "good")
    scene.tick()

    assert [] == scene.store.names("landing")
    reasons = {name: scene.reason(name) for name in scene.store.names("refused")}
    assert f"{MANIFEST} must be there" in reasons["cars-0001"]
    assert "part-0001.csv must have" in reasons["cars-0002"]
    assert "schema_hash must be" in reasons["cars-0003"]
    assert "rows: Field required" in reasons["cars-0004"]
    assert "same content as cars-0005" in reasons["cars-0006"]


def test_a_batch_that_is_still_being_written_is_left_alone(scene):
    """
    Within the grace time nothing moves and nothing starts; when the manifest comes, the training is asked for.
    """
    content_hash = scene.put("cars-0001", "a")
    path = f"{scene.store.folder('landing', 'cars-0001')}/{MANIFEST}"
    manifest = scene.store.read(path)
    scene.store.files.delete(path)
    scene.tick()
    assert ["cars-0001"] == scene.store.names("landing")
    assert TrainingState.ABSENT is scene.state(content_hash)

    scene.store.write(path, manifest)
    scene.tick()
    assert TrainingState.REQUESTED is scene.state(content_hash)


@pytest.mark.parametrize("ahead", [1000, -1000])
@pytest.mark.parametrize(("grace", "place"), [(600.0, "landing"), (0.0, "refused")])
def test_a_clock_that_is_wrong_neither_shortens_the_grace_nor_prolongs_it(scene, monkeypatch, ahead, grace, place):
    """
    The NameNode's clock alone says for how long nothing changed in a batch.
    """
    scene.grace = grace
    scene.store.write(f"{scene.store.folder('landing', 'cars-0001')}/part-0001.csv", b"half")
    right = time.time
    monkeypatch.setattr(time, "time", lambda: right() + ahead)

    scene.tick()

    assert ["cars-0001"] == scene.store.names(place)


def fail(scene, content_hash, outcome, times):
    """Let the training of a content fail so many times; each time it waits, and is then asked for again."""
    for _ in range(times):
        scene.later = port.LONGEST_RETRY_S
        scene.tick()
        assert TrainingState.REQUESTED is scene.state(content_hash)
        scene.orchestrator.fail_training(content_hash, outcome, "it says why")
        scene.later = 0.0
        scene.tick()
        assert TrainingState.FAILED is scene.state(content_hash)


def test_a_training_that_crashes_three_times_refuses_its_batch(scene):
    """
    Tried three times with a wait between, then in refused/ with a reason that points at the log.
    """
    content_hash = scene.put("cars-0001", "a")
    fail(scene, content_hash, Outcome.CRASHED, 2)
    scene.later = port.LONGEST_RETRY_S
    scene.tick()
    scene.orchestrator.fail_training(content_hash, Outcome.CRASHED, "it says why")

    scene.tick()

    assert "its training crashed 3 times: it says why; see the log of the trainer" in scene.reason("cars-0001")


def test_a_training_that_could_not_be_done_is_asked_for_again_and_its_batch_stays(scene):
    """
    However often it happens nothing is refused, and the next batch waits behind it.
    """
    content_hash = scene.put("cars-0001", "a", number=1)
    scene.put("cars-0002", "b", number=2)

    fail(scene, content_hash, Outcome.COULD_NOT, 5)

    assert ["cars-0001", "cars-0002"] == scene.store.names("landing")
    assert {content_hash} == scene.orchestrator.trainings().keys()


def test_a_batch_is_not_refused_for_crashes_while_the_registry_is_away(scene):
    """
    The crash may be the platform's fault, so the batch stays where it is until the platform is well.
    """
    content_hash = scene.put("cars-0001", "a")
    fail(scene, content_hash, Outcome.CRASHED, 2)
    scene.later = port.LONGEST_RETRY_S
    scene.tick()
    scene.orchestrator.fail_training(content_hash, Outcome.CRASHED)
    scene.registry_answers = away

    with pytest.raises(Unavailable):
        scene.tick()

    assert ["cars-0001"] == scene.store.names("landing")


HOURLY, HOUR = Schedule("0 * * * *", "UTC"), 3600
NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)


@pytest.fixture
def scheduled(scene, mlflow):
    """A scene at noon with a used batch, a registered model and an hourly schedule that begins then."""
    scene.now = NOON.timestamp
    names = StackNames("baton", scene.store.dataset)
    MlflowClient(mlflow).create_registered_model(names.model)
    where = mlflow, names.model
    scene.kept = KeptSchedule(
        HOURLY, partial(registry.schedule_mark, *where), partial(registry.keep_schedule_mark, *where)
    )
    scene.put("cars-0001", "a")
    scene.store.use("cars-0001")
    scene.tick()
    return scene


def test_a_scheduled_training_is_asked_for_once_at_its_instant(scheduled):
    """
    With the clock moved: nothing before it; then one, which is neither asked for beside itself nor when it has ended.
    """
    assert {} == scheduled.orchestrator.trainings()
    for hours in (1, 2):
        scheduled.later = hours * HOUR
        instant = NOON + timedelta(hours=hours)
        content_hash = hash_of(name_of(instant))
        scheduled.tick()
        scheduled.tick()
        assert TrainingState.REQUESTED is scheduled.state(content_hash)
        scheduled.orchestrator.mark_training(content_hash, TrainingState.SUCCEEDED)
        scheduled.tick()
        assert TrainingState.SUCCEEDED is scheduled.state(content_hash)
        assert (instant, 0) == (scheduled.kept.read().until, scheduled.kept.read().missed)

    assert [1, 1] == [status.attempts for status in scheduled.orchestrator.trainings().values()]


def test_instants_that_were_missed_are_made_up_for_by_one_training_and_told(scheduled):
    """
    After three hours without a tick the newest is asked for; the mark and the log say that two more were due.
    """
    scheduled.later = 3 * HOUR
    scheduled.tick()
    scheduled.tick()

    newest = NOON + timedelta(hours=3)
    assert [name_of(newest)] == [status.batch for status in scheduled.orchestrator.trainings().values()]
    assert (newest, 2) == (scheduled.kept.read().until, scheduled.kept.read().missed)
    assert {"until": newest.isoformat(), "missed": 2} in [call.kwargs for call in scheduled.log.calls]


def test_a_batch_goes_before_the_schedule_and_the_registry_holds_up_no_refusal(scheduled):
    """
    Both are due: the batch is trained on first. While MLflow is away a bad batch is refused all the same.
    """
    content_hash = scheduled.put("cars-0002", "b")
    scheduled.later = HOUR
    scheduled.tick()
    assert [content_hash] == list(scheduled.orchestrator.trainings())
    scheduled.orchestrator.mark_training(content_hash, TrainingState.SUCCEEDED)
    scheduled.store.use("cars-0002")
    scheduled.kept, kept = replace(scheduled.kept, read=away), scheduled.kept
    scheduled.put("cars-0003", "c", rows=0)
    scheduled.tick()
    assert ["cars-0003"] == scheduled.store.names("refused")
    assert [content_hash] == list(scheduled.orchestrator.trainings())

    scheduled.kept = kept
    scheduled.tick()
    assert 2 == len(scheduled.orchestrator.trainings())


def away():
    """The registry is down."""
    raise Unavailable("MLflow must answer")


def test_an_outage_of_the_registry_uses_up_no_attempt(scene):
    """
    While MLflow does not answer no training is asked for, so that none can fail for it.
    """
    content_hash = scene.put("cars-0001", "a")
    scene.registry_answers = away

    with pytest.raises(Unavailable):
        scene.tick()

    assert TrainingState.ABSENT is scene.state(content_hash)


def test_a_refusal_that_was_killed_before_the_move_is_finished(scene):
    """
    The reason is written, the batch is still in landing/: the next tick comes to the same end.
    """
    scene.put("cars-0001", "a", rows=0)
    scene.store.write(f"{scene.store.folder('landing', 'cars-0001')}/{REASON}", b"half a sent")

    scene.tick()

    assert [] == scene.store.names("landing")
    assert "rows must be at least 1" in scene.reason("cars-0001")


def run_watcher(app, **settings):
    """One tick as a process."""
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": os.getcwd(), **settings}  # noqa: PTH109, TID251
    return subprocess.run(
        [sys.executable, "-m", f"apps.{app}"], env=environment, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize("app", ["new_data_watcher", "new_model_watcher"])
def test_a_tick_without_a_platform_ends_with_1_and_one_clear_line(app, tmp_path):
    """
    Whoever runs a tick by hand learns what does not answer and where.
    """
    nowhere = {"BATON_HDFS": "hdfs://127.0.0.1:9", "BATON_MLFLOW": "http://127.0.0.1:9"}

    done = run_watcher(app, BATON_STATE=str(tmp_path), BATON_DATASET="boston_housing", **nowhere)

    assert 1 == done.returncode
    (line,) = done.stderr.strip().splitlines()
    assert "must answer at" in line
    assert "is the stack up?" in line


def test_a_tick_on_a_real_hdfs_ends_with_0(hdfs, tmp_path):
    """
    An idle tick says nothing.
    """
    done = run_watcher("new_data_watcher", BATON_HDFS=hdfs, BATON_STATE=str(tmp_path), BATON_DATASET="boston_housing")

    assert (0, "", "") == (done.returncode, done.stdout, done.stderr)


@pytest.mark.parametrize(
    ("mode", "says"),
    [("swarm", "BATON_MODE must be valid (Input should be 'embedded' or 'cluster')"), ("cluster", "must run in a pod")],
)
def test_a_mode_that_cannot_be_is_refused(tmp_path, mode, says):
    """
    An unknown mode, and cluster mode outside of a cluster, are told so in one line instead of doing something else.
    """
    done = run_watcher("new_model_watcher", BATON_MODE=mode, BATON_STATE=str(tmp_path))

    assert 1 == done.returncode
    assert says in done.stderr.replace("\\'", "'")  # the log quotes the text that quotes
