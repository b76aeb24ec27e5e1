"""The gate, on a real HDFS, MLflow and Spark: what it lets through, what it withholds, and what it says."""

import csv
import json
import math
import random
import uuid
from concurrent.futures import Future
from dataclasses import replace
from datetime import UTC, datetime

import pytest
import structlog

from apps.common import registry
from apps.common.batches import BatchStore
from apps.common.manifest import Manifest, describe_part, schema_hash
from apps.common.model import fetch
from apps.common.model_files import GOLDEN
from apps.common.names import StackNames
from apps.common.registry import Version
from apps.datasets.declaration import Column, Dataset
from apps.trainer import session
from apps.trainer.comparison import Comparison
from apps.trainer.found_batch import TrainingContext, find
from apps.trainer.gate import judge
from apps.trainer.publish import name_train_set
from apps.trainer.settings import TrainerSettings
from apps.trainer.stopping import CleanStop
from apps.trainer.training import train_on_batch
from tests.adapters.small_model import registered, vouch

FLATS = Dataset(
    name=f"flats_{uuid.uuid4().hex[:8]}",
    task="regression",
    target="price",
    key=("id",),
    columns=(
        Column("id", "text"),
        Column("area", "number", required=True, minimum=1),
        Column("town", "category", required=True),
        Column("price", "number", minimum=1),
    ),
    numeric={"area": "area", "log_area": "ln(area)"},
    one_hot=("town",),
    log_target=True,
    load=lambda: iter(()),
)
NAMES = StackNames("baton", FLATS.name)
DOLLARS, CENTS = 1, 100


def flats(first, count, unit):
    """Rows whose price follows from what they say, with a little noise."""
    draw = random.Random(first)
    for number in range(first, first + count):
        area, town = draw.uniform(30, 200), draw.choice(["north", "south", "west"])
        worth = 8 + 0.9 * math.log(area) + {"north": 0.3, "south": 0.0, "west": -0.2}[town] + draw.gauss(0, 0.1)
        yield [str(number), f"{area:.1f}", town, f"{unit * math.exp(worth):.2f}"]


class Trainings:
    """Trainings of one dataset in this process, as the app does them."""

    def __init__(self, spark, hdfs, mlflow, folder):
        """Nothing landed yet."""
        self.spark, self.hdfs, self.mlflow, self.folder = spark, hdfs, mlflow, folder
        self.store = BatchStore(hdfs, NAMES)
        self.said = []

    def context(self, batch, dataset=FLATS):
        """What a trainer knows that was asked for a batch."""
        told = {"hdfs": self.hdfs, "dataset": FLATS.name, "mlflow": self.mlflow, "scratch": self.folder, "batch": batch}
        settings = TrainerSettings(**told, folds=2, trees=40).in_a_folder_of_its_own()
        future = Future()
        future.set_result(self.spark)
        return TrainingContext(settings, dataset, self.store, future, structlog.testing.CapturingLogger())

    def land(self, batch, rows):
        """Put a batch of one part into landing."""
        part = self.folder / f"{batch}.csv"
        with part.open("w", newline="") as file:
            csv.writer(file).writerows([FLATS.column_names, *rows])
        wanted = schema_hash(FLATS.column_names)
        count = len(part.read_text().splitlines()) - 1
        self.store.put(batch, [part], Manifest(FLATS.name, count, wanted, _now(), (describe_part(part),)))

    def train(self, batch):
        """Train on a batch to the end; the version that came of it."""
        context = self.context(batch)
        train_on_batch(context, CleanStop(context.settings, context.log))
        return self.version(batch)

    def version(self, batch):
        """The version of a batch."""
        return next(one for one in registry.versions(self.mlflow, NAMES.model) if one.tags.get("batch") == batch)

    def champion(self):
        """Its number."""
        return registry.champion(self.mlflow, NAMES.model).version

    def said_of(self, version):
        """The run's tag and the gate's figures of a version."""
        run = find(self.context(version.tags["batch"])).run
        tags = run.client.get_run(version.run_id).data.tags
        figures = {k: v for k, v in registry.metrics(self.mlflow, version.run_id).items() if k.startswith("gate_")}
        return tags[registry.GATE], figures


def _now():
    return datetime.now(UTC).isoformat()


def comparison(figures):
    """What was compared, by the figures in MLflow."""
    names = ("gate_rmse", "gate_champion_rmse", "gate_worse", "gate_worse_low", "gate_worse_high")
    return Comparison("rmse", int(figures["gate_rows"]), *(figures[name] for name in names))


@pytest.fixture(scope="module")
def trainings(hdfs, mlflow, tmp_path_factory):
    folder = tmp_path_factory.mktemp("gate")
    spark = session.start(TrainerSettings(batch="b", spark_master="local[2]", scratch=folder))
    yield Trainings(spark, hdfs, mlflow, folder)
    spark.stop()


@pytest.fixture(scope="module")
def first(trainings):
    """The first version, of prices in dollars."""
    trainings.land("b-0001", flats(0, 400, DOLLARS))
    return trainings.train("b-0001")


@pytest.fixture(scope="module")
def cents(trainings, first):
    """The version of a batch with its prices in cents, after it."""
    trainings.land("b-0002", flats(1000, 400, CENTS))
    return trainings.train("b-0002")


def test_the_first_version_becomes_champion_when_it_is_better_than_the_mean(trainings, first):
    """There is nothing else to compare it with; the run says so, with the figures."""
    said, figures = trainings.said_of(first)

    assert registry.PROMOTED == first.tags[registry.PROMOTION]
    found = comparison(figures)
    assert f"the mean of its own test rows, because there is no champion; {found.words()}" == said
    assert found.high < -0.5


def test_a_batch_with_prices_in_cents_is_used_and_its_version_withheld(trainings, first, cents):
    """It is registered with the exact reason, what served stays champion, and both figures are in its run."""
    said, figures = trainings.said_of(cents)
    found = comparison(figures)

    assert f"version 1; {found.words()}" == said
    assert (
        f"its rmse must be at most 10% above that of version 1; got {found.words()}; "
        f"is something wrong with the batch? if not, ./baton promote 2"
    ) == cents.withheld
    assert found.low > 3
    test_rows = math.isclose(found.champion, registry.metrics(trainings.mlflow, first.run_id)["test_rmse"])
    assert test_rows, "the champion's figure is that of its own test part"
    assert {"b-0001", "b-0002"} <= set(trainings.store.names("used"))
    assert "1" == registry.champion(trainings.mlflow, NAMES.model).version


def test_a_training_that_was_killed_before_it_told_its_judgement_comes_to_the_same(trainings, cents):
    """The version is registered and has no outcome: what closes it judges it anew, to the last digit."""
    run, before = find(trainings.context("b-0002")).run, trainings.said_of(cents)
    run.client.delete_model_version_tag(cents.name, cents.version, registry.PROMOTION)
    run.client.set_terminated(cents.run_id, "KILLED")
    run.client.set_tag(cents.run_id, registry.GATE, "")

    assert cents == trainings.train("b-0002")
    assert before == trainings.said_of(cents)


def test_the_next_version_is_withheld_too_while_the_bad_batch_is_trained_on(trainings, cents):
    """It is held against the champion's rows, among which there are none of the bad batch."""
    trainings.land("b-0003", flats(2000, 400, DOLLARS))
    third = trainings.train("b-0003")

    assert "above that of version 1" in third.withheld
    assert "1" == trainings.champion()


def test_without_the_bad_batch_a_better_version_becomes_champion(trainings, cents):
    """Its folder is taken away, as the known issues say: what is trained then is compared with the same champion."""
    trainings.store.files.delete(trainings.store.folder("used", "b-0002"))
    trainings.land("b-0004", flats(3000, 400, DOLLARS))
    fourth = trainings.train("b-0004")
    said, figures = trainings.said_of(fourth)

    assert "" == fourth.withheld
    assert fourth.version == trainings.champion()
    assert said.startswith("version 1; rmse")
    assert comparison(figures).low < 0.1


def test_a_champion_of_another_declaration_is_not_compared_with(trainings, first, cents):
    """Its test rows may be among those that the new version was fitted on, whose own test rows decide then."""
    other = replace(FLATS, key=("id", "town"))
    judgement = judge(trainings.context("b-0001", other), first, first)

    why = "the mean of its own test rows, because version 1, the champion, was trained on rows of another declaration"
    assert judgement.against.startswith(f"{why}; rmse")
    assert "" == judgement.reason
    judgement = judge(trainings.context("b-0001", other), cents, first)
    assert judgement.metrics["gate_rows"] != judge(trainings.context("b-0001"), cents, first).metrics["gate_rows"]


def test_a_champion_that_cannot_be_read_is_not_compared_with(trainings, first, tmp_path):
    """Its train set was removed, or its files are others: that is said, and the version is not held up by it."""
    context = trainings.context("b-0001")
    removed = judge(context, first, replace(first, version="77", tags={}))
    gone = judge(context, first, None)
    rows, away = (trainings.store.folder("train-sets", name) for name in (first.version, "away"))
    trainings.store.files.rename(rows, away)
    try:
        without_rows = judge(context, first, first)
    finally:
        trainings.store.files.rename(away, rows)

    assert "cannot be loaded: version must be a registered one" in removed.against
    assert "because there is no champion" in gone.against
    missing = f"because the train set of version {first.version} is not in HDFS"
    assert f"nothing, {missing}, and the train set" in without_rows.against
    assert "" == removed.reason == gone.reason == without_rows.reason


def test_the_train_set_of_a_model_that_was_begun_anew_is_replaced(trainings, first):
    """Its number stands for another version now, whose test rows decide."""
    context, store = trainings.context("b-0001"), trainings.store
    found = find(context)
    for name, text in (("99", b"old"), (found.unnamed_train_set(store).rsplit("/", 1)[1], b"new")):
        store.write(f"{store.folder('train-sets', name)}/part", text)
    name_train_set(context, found, replace(first, version="99"))
    name_train_set(context, found, replace(first, version="99"))

    assert b"new" == store.read(f"{store.folder('train-sets', '99')}/part")
    store.files.delete(store.folder("train-sets", "99"))


def test_a_version_that_answers_otherwise_when_it_is_loaded_anew_is_withheld(trainings, first, tmp_path):
    """A golden row that says something else than the model: what would serve is not what was tested."""
    files = fetch(trainings.mlflow, first.target, tmp_path)
    golden = [json.loads(line) for line in (tmp_path / GOLDEN).read_text().splitlines()]
    golden[0]["prediction"] += 1.0
    (tmp_path / GOLDEN).write_text("".join(f"{json.dumps(row)}\n" for row in golden))
    vouch(files.folder)
    spoilt = registered(find(trainings.context("b-0001")).run, files.folder)

    judgement = judge(trainings.context("b-0001"), Version(**vars(spoilt)), first)

    assert "must predict, loaded anew, what it did in training; golden row 0 must give" in judgement.reason
    assert "its golden rows" == judgement.against
