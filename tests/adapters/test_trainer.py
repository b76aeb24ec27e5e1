"""The trainer as a process, against a real HDFS and a real MLflow: one end state, however often it is killed."""

import csv
import hashlib
import json
import signal
import subprocess
import sys
from datetime import UTC, datetime

import pytest
from mlflow import MlflowClient

from apps import datasets
from apps.common import registry
from apps.common.batches import BatchStore, Manifest, describe_part, schema_hash
from apps.common.drift import LARGE, Baseline
from apps.common.exit_codes import REFUSED
from apps.common.model_files import PREDICTIONS_BASELINE, REQUESTS_BASELINE
from apps.common.names import StackNames
from apps.common.schedule import Schedule, ScheduleMark, hash_of, name_of
from apps.common.waiting import wait_until
from apps.trainer.mlflow_run import CARD, DRIFT, PICTURE, TIME_LINE
from stack.environment import ROOT, inherited

NAME = "boston_housing"
NAMES = StackNames("baton", NAME)
STEP_S = 240
BOSTON = datasets.get(NAME)


class Trainers:
    """Starts trainers, and says what they have left behind."""

    def __init__(self, hdfs, mlflow, folder):
        """Everything of one test's own is in ``folder``."""
        self.folder = folder
        self.store = BatchStore(hdfs, NAMES)
        self.mlflow = mlflow
        self.client = MlflowClient(mlflow)
        self.told = {
            **inherited(),
            "BATON_HDFS": hdfs,
            "BATON_MLFLOW": mlflow,
            "BATON_DATASET": NAME,
            "BATON_SCRATCH": str(folder / "scratch"),
            "BATON_TREES": "4",
            "BATON_SPARK_MASTER": "local[2]",
            "MLFLOW_DISABLE_TELEMETRY": "true",
        }

    def land(self, batch, rows, header=None):
        """Put a batch of one part into landing; one without rows says that it has one."""
        part = self.folder / f"{batch}.csv"
        with part.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(header or BOSTON.column_names)
            writer.writerows([row[name] for name in BOSTON.column_names] for row in rows)
        wanted = schema_hash(BOSTON.column_names)
        manifest = Manifest(NAME, len(rows) or 1, wanted, datetime.now(UTC).isoformat(), (describe_part(part),))
        self.store.put(batch, [part], manifest)
        return manifest.content_hash

    def start(self, batch, content_hash=""):
        """A trainer on its way; its log is a file."""
        command = [sys.executable, "-m", "apps.trainer"]
        log = (self.folder / f"{batch}.log").open("ab")
        told = {**self.told, "BATON_BATCH": batch, "BATON_CONTENT_HASH": content_hash}
        return subprocess.Popen(command, cwd=ROOT, env=told, stdout=log, stderr=log)

    def stop_after(self, step, batch, how, content_hash=""):
        """Start a trainer, and end it by a signal when it has done a step; its exit code."""
        log = self.folder / f"{batch}.log"
        log.write_text("")
        trainer = self.start(batch, content_hash)
        wait_until(lambda: step in log.read_text() or trainer.poll() is not None, STEP_S, log.read_text)
        trainer.send_signal(how)
        return trainer.wait(STEP_S)

    def run(self, batch, content_hash=""):
        """Let a trainer come to its end; its exit code."""
        return self.start(batch, content_hash).wait(STEP_S)

    def log(self, batch):
        """What the trainers of a batch have said."""
        return (self.folder / f"{batch}.log").read_text()

    def runs(self, content_hash):
        """The status of each parent run of a content, oldest first."""
        experiment = self.client.get_experiment_by_name(NAMES.model).experiment_id
        found = self.client.search_runs(
            [experiment], f"tags.content_hash = '{content_hash}'", order_by=["attributes.start_time ASC"]
        )
        return [run.info.status for run in found if "mlflow.parentRunId" not in run.data.tags]

    def seed(self, content_hash):
        """What the random choices of the newest training of a content followed from."""
        experiment = self.client.get_experiment_by_name(NAMES.model).experiment_id
        wanted = f"tags.content_hash = '{content_hash}' and tags.mlflow.runName = 'boosted_trees'"
        return self.client.search_runs([experiment], wanted)[0].data.params["seed"]


@pytest.fixture(scope="module")
def trainers(hdfs, mlflow, tmp_path_factory):
    return Trainers(hdfs, mlflow, tmp_path_factory.mktemp("trainers"))


@pytest.fixture(scope="module")
def rows():
    return list(BOSTON.load())


@pytest.mark.timeout(1800)
def test_a_trainer_killed_anywhere_and_started_again_gives_one_version(trainers, rows):
    """Kill -9 and SIGTERM in a fit, kill -9 after the version is made: in the end all is there, and once."""
    content = trainers.land(f"{NAME}-0001", rows[:250])
    before = len(registry.versions(trainers.mlflow, NAMES.model))

    assert trainers.stop_after("begin the run", f"{NAME}-0001", signal.SIGKILL) == -signal.SIGKILL
    assert trainers.stop_after("begin the run", f"{NAME}-0001", signal.SIGTERM) == 128 + signal.SIGTERM
    assert trainers.stop_after("register the version", f"{NAME}-0001", signal.SIGKILL) == -signal.SIGKILL
    assert trainers.run(f"{NAME}-0001") == 0
    assert trainers.run(f"{NAME}-0001") == 0

    version, *more = registry.versions(trainers.mlflow, NAMES.model)[before:]
    assert not more
    told = {"dataset": NAME, "batch": f"{NAME}-0001", "content_hash": content}
    sha256 = version.tags[registry.MANIFEST_SHA256]
    assert version.tags == {**told, registry.MANIFEST_SHA256: sha256, registry.PROMOTION: registry.PROMOTED}
    assert registry.champion(trainers.mlflow, NAMES.model) == version
    assert trainers.runs(content) == ["KILLED", "KILLED", "FINISHED"]
    assert registry.metrics(trainers.mlflow, version.run_id)[registry.TRAINING_SECONDS] > 0
    assert trainers.store.names("landing") == []
    assert trainers.store.names("used") == [f"{NAME}-0001"]
    assert [one.name for one in trainers.store.files.listing(trainers.store.folder("train-sets"))] == [version.version]


def test_the_next_batch_is_trained_on_with_the_first(trainers, rows):
    """The second version reads both batches, and says so in its contract; its files are what its manifest says."""
    trainers.land(f"{NAME}-0002", rows[250:400])
    scratch = trainers.folder / "scratch"
    scratch.mkdir(exist_ok=True)
    (scratch / "of another").touch()
    before = {path.name for path in scratch.iterdir()}

    assert trainers.run(f"{NAME}-0002") == 0, trainers.log(f"{NAME}-0002")
    assert before == {path.name for path in scratch.iterdir()}

    version = registry.champion(trainers.mlflow, NAMES.model)
    assert version.tags["batch"] == f"{NAME}-0002"
    folder = trainers.folder / "artifacts"
    folder.mkdir()
    trainers.client.download_artifacts(version.run_id, "", str(folder))
    contract = json.loads((folder / "baton/contract.json").read_text())
    assert contract["batches"] == [f"{NAME}-0001", f"{NAME}-0002"]
    assert contract["rows"] == 400
    assert 1 == trainers.log(f"{NAME}-0002").count("parsed the CSV")
    manifest = json.loads((folder / "baton/manifest.json").read_text())
    there = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    for_people = [there.pop(name) for name in (CARD, DRIFT, PICTURE, TIME_LINE)]
    requests, predictions = (
        json.loads(there.pop(name).read_text()) for name in (REQUESTS_BASELINE, PREDICTIONS_BASELINE)
    )
    manifest_file = there.pop("baton/manifest.json")
    assert version.tags[registry.MANIFEST_SHA256] == hashlib.sha256(manifest_file.read_bytes()).hexdigest()
    assert {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in there.items()} == manifest
    text, drifts, *pictures = (path.read_bytes() for path in for_people)
    assert b"400 rows of 2 batches" in text
    assert json.loads(drifts).keys() == set(BOSTON.numeric) | {*BOSTON.one_hot, *BOSTON.target_encoded}
    assert requests["features"].keys() == json.loads(drifts).keys()
    assert {400} == {sum(one["counts"]) for one in requests["features"].values()}
    assert 10 < Baseline.from_dict(predictions).counts.sum() < 400  # of test rows, as nothing else says what is usual
    assert [True, True] == [picture.startswith(b"\x89PNG") for picture in pictures]
    assert "the batch differs from those before it" in trainers.log(f"{NAME}-0002")  # towns stand one after the other
    metrics = registry.metrics(trainers.mlflow, version.run_id)
    assert metrics["drift_largest"] > LARGE
    assert metrics["test_r2"] > 0.5


@pytest.mark.timeout(1800)
def test_a_scheduled_training_killed_anywhere_gives_one_version_of_what_is_used(trainers):
    """It says why and how many it makes up for, moves no batch, and has another seed; the gate judges it."""
    due = datetime(2026, 11, 28, 2, tzinfo=UTC)
    name, content = name_of(due), hash_of(name_of(due))
    nightly, three_days_ago = Schedule("0 2 * * *", "UTC"), datetime(2026, 11, 25, 2, tzinfo=UTC)
    registry.keep_schedule_mark(trainers.mlflow, NAMES.model, ScheduleMark(nightly, three_days_ago))
    before = registry.versions(trainers.mlflow, NAMES.model)
    places = {place: trainers.store.names(place) for place in ("landing", "used", "refused")}

    assert trainers.stop_after("begin the run", name, signal.SIGKILL, content) == -signal.SIGKILL
    assert trainers.stop_after("register the version", name, signal.SIGKILL, content) == -signal.SIGKILL
    registry.keep_schedule_mark(trainers.mlflow, NAMES.model, ScheduleMark(nightly, due, 2))
    assert trainers.run(name, content) == 0, trainers.log(name)
    assert trainers.run(name, content) == 0, trainers.log(name)

    version, *more = registry.versions(trainers.mlflow, NAMES.model)[len(before) :]
    assert not more
    assert trainers.runs(content) == ["KILLED", "FINISHED"]
    told = {"batch": name, "reason": "schedule", "scheduled_for": "2026-11-28T02:00:00+00:00", "missed": "2"}
    run = trainers.client.get_run(version.run_id).data
    assert [told, told] == [{key: tags[key] for key in told} for tags in (version.tags, run.tags)]
    assert registry.PROMOTED == version.tags[registry.PROMOTION]
    assert f"version {before[-1].version}; rmse" in run.tags[registry.GATE]
    assert (400, 0, 2) == (run.metrics["rows"], run.metrics["batch_rows"], int(run.params["batches"]))
    assert places == {place: trainers.store.names(place) for place in places}
    assert trainers.store.exists(trainers.store.folder("train-sets", version.version))
    seeds = [trainers.seed(one.tags["content_hash"]) for one in (before[-1], version)]
    assert seeds[0] != seeds[1]


def test_a_version_is_registered_and_not_champion_when_somebody_rolled_back_meanwhile(trainers, rows):
    """The training ends well, its batch is used, and what the person chose goes on to serve."""
    first, second = (one.version for one in registry.versions(trainers.mlflow, NAMES.model)[-2:])
    assert registry.champion(trainers.mlflow, NAMES.model).version == second
    trainers.land(f"{NAME}-0003", rows[400:450])
    (trainers.folder / f"{NAME}-0003.log").touch()
    trainer = trainers.start(f"{NAME}-0003")
    wait_until(lambda: "begin the run" in trainers.log(f"{NAME}-0003"), STEP_S, lambda: trainers.log(f"{NAME}-0003"))

    trainers.client.set_registered_model_alias(NAMES.model, "champion", first)
    assert trainer.wait(STEP_S) == 0, trainers.log(f"{NAME}-0003")

    *_, version = registry.versions(trainers.mlflow, NAMES.model)
    assert version.tags["batch"] == f"{NAME}-0003"
    assert registry.champion(trainers.mlflow, NAMES.model).version == first
    assert f"moved to version {first}" in version.withheld
    assert "the version is registered and is not champion" in trainers.log(f"{NAME}-0003")
    assert f"{NAME}-0003" in trainers.store.names("used")


@pytest.mark.parametrize(
    ("batch", "spoil", "reason"),
    [
        ("-0101", {"header": BOSTON.column_names[:-1]}, "must have 14 columns; got 13"),
        pytest.param("-0102", {"rows": 0}, "a header and nothing else", marks=pytest.mark.long),
        pytest.param("-0103", {"price": "cheap"}, "mostly because medv must be a number", marks=pytest.mark.long),
        ("-0104", {"again": True}, "a batch must bring new content"),
    ],
)
def test_a_batch_that_breaks_its_contract_is_refused_with_its_reason(trainers, rows, batch, spoil, reason):
    """The batch lies in refused with the reason, the trainer's exit code says so, and what serves stays."""
    before = registry.champion(trainers.mlflow, NAMES.model)
    some = [dict(row) for row in rows[400 : 400 + spoil.get("rows", 100)]]
    for row in some:
        row["medv"] = spoil.get("price", row["medv"])
    trainers.land(NAME + batch, rows[250:400] if "again" in spoil else some, spoil.get("header"))

    assert trainers.run(NAME + batch) == REFUSED, trainers.log(NAME + batch)

    assert reason in trainers.store.read(f"{trainers.store.folder('refused', NAME + batch)}/_reason.txt").decode()
    assert NAME + batch not in trainers.store.names("landing")
    assert registry.champion(trainers.mlflow, NAMES.model) == before
