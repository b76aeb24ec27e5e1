"""What a training reads beside its own batch, from a real HDFS: batches, and what was made of them before."""

import csv
import uuid
from concurrent.futures import Future
from dataclasses import replace
from functools import reduce
from types import SimpleNamespace

import pytest
import structlog
from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812 - the name everyone knows it by

from apps import datasets
from apps.common.batches import MANIFEST, Batch, BatchStore
from apps.common.errors import BatonError
from apps.common.manifest import Manifest, describe_part, schema_hash
from apps.common.names import StackNames
from apps.datasets.declaration import Column, Dataset
from apps.trainer import checked_batches, session, train_set
from apps.trainer.found_batch import FoundBatch, TrainingContext
from apps.trainer.prepare import NONE, keep, quarantine, read, verify
from apps.trainer.settings import TrainerSettings

BOSTON = datasets.get("boston_housing")
TOYS = Dataset(
    name="toys",
    task="regression",
    target="price",
    key=("id",),
    columns=(
        Column("id"),
        Column("note"),
        Column("weight", "number"),
        Column("kind", "category"),
        Column("price", "number"),
    ),
    numeric={"weight": "weight"},
    one_hot=("kind",),
    load=lambda: iter(()),
)
REPEATED = range(5, 9)  # places in a batch of keys that come again in it, with other prices
ODD_WORDS = ("plain", "", " ", 'a "quoted"\nline', "Bätön ☃", "NA", "x" * 300)


@pytest.fixture
def store(hdfs):
    """The batches of a dataset that no other test uses."""
    return BatchStore(hdfs, StackNames("baton", f"boston_{uuid.uuid4().hex[:8]}"))


@pytest.fixture
def found(store, tmp_path):
    """A batch in landing/, behind two in used/."""
    part = tmp_path / "part-0001.csv"
    part.write_text(",".join(BOSTON.column_names) + "\n")
    manifest = Manifest(store.dataset, 1, schema_hash(BOSTON.column_names), "2026-01-01", (describe_part(part),))
    for name in ("b-0001", "b-0002", "b-0003"):
        store.put(name, [part], manifest)
    store.use("b-0001")
    store.use("b-0002")
    return FoundBatch(Batch("b-0003", 1, manifest.content_hash), "landing", manifest, None, None)


def test_every_used_batch_is_read_with_the_new_one(store, found):
    """
    The manifests of all that were used before.
    """
    assert {"b-0001", "b-0002"} == verify(SimpleNamespace(store=store, dataset=BOSTON), found).keys()


def test_a_used_batch_without_its_manifest_is_named(store, found):
    """
    It is no longer a batch, and a training without it would be another one than was asked for: nothing is trained.
    """
    store.files.delete(f"{store.folder('used', 'b-0001')}/{MANIFEST}")

    with pytest.raises(BatonError, match=f"must have its {MANIFEST}; b-0001 got none") as caught:
        verify(SimpleNamespace(store=store, dataset=BOSTON), found)

    assert "b-0002" not in str(caught.value)


@pytest.fixture(scope="module")
def spark(tmp_path_factory):
    """A session with the trainer's settings."""
    scratch = tmp_path_factory.mktemp("spark")
    started = session.start(TrainerSettings(batch="toys", spark_master="local[2]", scratch=scratch))
    yield started
    started.stop()


class SuccessiveTrainings:
    """Trainings one after the other, as far as their train set."""

    def __init__(self, hdfs, spark, folder):
        """No batch yet, and a dataset of its own."""
        self.store = BatchStore(hdfs, StackNames("baton", f"toys_{uuid.uuid4().hex[:8]}"))
        self.spark = spark
        self.folder = folder
        self.manifests = {}
        self.parsed = []  # the batches whose CSV the last training read

    def land(self, name, rows):
        """Drop a batch of two parts."""
        self.folder.joinpath(name).mkdir()
        parts = [self.folder / name / f"part-{number}.csv" for number in range(2)]
        for number, part in enumerate(parts):
            with part.open("w", newline="") as file:
                csv.writer(file).writerows([TOYS.column_names, *rows[number::2]])
        described = tuple(map(describe_part, parts))
        hashed = schema_hash(TOYS.column_names)
        made = Manifest(self.store.dataset, len(rows), hashed, "2026-01-01", described, number=len(self.manifests) + 1)
        self.store.put(name, parts, made)
        self.manifests[name] = made

    def train(self, name, dataset=TOYS, **told):
        """The train set of a training on a batch, which is used then, and the counts of all."""
        context = self.context(name, dataset, **told)
        manifest = self.manifests[name]
        place = "landing" if name in self.store.names("landing") else "used"
        found = FoundBatch(Batch(name, manifest.rows, manifest.content_hash), place, manifest, None, None)
        used = {other: self.manifests[other] for other in self.store.names("used") if other != name}
        checked = read(context, found, used)
        made = keep(context, found, checked)
        self.store.use(name)
        calls = context.log.calls
        self.parsed = [call.kwargs["csv"].rsplit("/", 1)[-1] for call in calls if "csv" in call.kwargs]
        rows = self.spark.read.parquet(self.store.url(found.unnamed_train_set(self.store))).collect()
        made.rows.unpersist()
        return rows, checked.counts

    def train_as_scheduled(self):
        """The train set of a training without a batch, the counts of all, and those of its own."""
        context = self.context("schedule-20261128T020000Z", TOYS)
        found = FoundBatch(Batch(context.settings.batch, 0, "f" * 64), "", None, None, None)
        checked = read(context, found, verify(context, found))
        quarantine(context, checked)
        keep(context, found, checked).rows.unpersist()
        rows = self.spark.read.parquet(self.store.url(found.unnamed_train_set(self.store))).collect()
        return rows, checked.counts, checked.own

    def context(self, name, dataset, **told):
        """What a trainer knows."""
        session_there = Future()
        session_there.set_result(self.spark)
        settings = TrainerSettings(batch=name, scratch=self.folder).model_copy(update=told)
        return TrainingContext(settings, dataset, self.store, session_there, structlog.testing.CapturingLogger())

    def from_csv(self, dataset=TOYS):
        """The train set of all batches, made of their CSV alone and in one go."""
        frames = []
        for name in self.manifests:
            paths = [f"file://{self.folder / name}/part-{number}.csv" for number in range(2)]
            rows = train_set.check(dataset, train_set.read(self.spark, paths, dataset))
            frames.append(rows.withColumn(train_set.BATCH, F.lit(name)))
        whole = reduce(DataFrame.unionByName, frames)
        return train_set.keep(dataset, whole, TrainerSettings(batch="toys").folds, list(self.manifests)).collect()

    def kept(self, name, dataset=TOYS):
        """Where the checked rows of a batch are."""
        return checked_batches.folder(self.store, dataset, self.manifests[name].content_hash)


@pytest.fixture(scope="module")
def trainings(hdfs, spark, tmp_path_factory):
    """Three batches that were trained on; some keys, and some rows, come again."""
    made = SuccessiveTrainings(hdfs, spark, tmp_path_factory.mktemp("toys"))
    for number, first in enumerate((0, 150, 250)):
        rows = [
            [
                f"k{key}",
                ODD_WORDS[key % 7],
                key % 9,
                ODD_WORDS[(key + number) % 7],
                "bad" if key % 20 == 3 else key % 50,
            ]
            for key in range(first, first + 200)
        ]
        repeated = [[*row[:-1], price] for row in (rows[at] for at in REPEATED) for price in (7, 8, 9)]
        made.land(f"b-{3 - number}", [*rows, *rows[:3], *repeated])  # names are no order
        made.train(f"b-{3 - number}")
    return made


def test_rows_that_were_kept_give_the_train_set_of_their_csv(trainings):
    """
    The same rows, folds and batches in the same order as from all the CSV together, of which not a file is there.
    """
    files, used = trainings.store.files, trainings.store.folder("used")
    csv_files = [f"{used}/{name}/part-{number}.csv" for name in trainings.manifests for number in range(2)]
    for path in csv_files:
        files.rename(path, f"{path}.away")
    rows, counts = trainings.train("b-1")
    for path in csv_files:
        files.rename(f"{path}.away", path)

    assert trainings.from_csv() == rows
    assert len(rows) > 300
    assert {"b-1", "b-2", "b-3"} == {row[train_set.BATCH] for row in rows}
    assert dict.fromkeys(trainings.manifests, (215, 10)) == {
        name: (one.rows, one.quarantined) for name, one in counts.items()
    }


def test_a_scheduled_training_has_the_rows_of_the_one_before(trainings):
    """
    Of every used batch, the newest too; none of them is its own.
    """
    before, counts = trainings.train("b-1")

    rows, of_all, own = trainings.train_as_scheduled()

    assert before == rows
    assert counts == of_all
    assert NONE == own


def test_a_training_is_given_no_more_rows_than_are_allowed(trainings):
    """
    Of the rows that it would have had; the counts are those of all.
    """
    whole, counts = trainings.train("b-1")

    some, of_all = trainings.train("b-1", max_train_rows=100)

    assert 100 == len(some)
    assert set(some) < set(whole)
    assert counts == of_all


def by_key(rows):
    """Each row's cells by their names."""
    return {row["id"]: row.asDict() for row in rows}


def without_counts(files, kept):
    """As a trainer leaves it that was killed before its last step."""
    files.delete(f"{kept}/{checked_batches.COUNTS}")


def without_a_file(files, kept):
    """As a person leaves it."""
    files.delete(f"{kept}/{next(file.name for file in files.listing(kept) if file.name.endswith('.parquet'))}")


def half_written(files, kept):
    """As a trainer leaves it that was killed while it wrote."""
    files.delete(kept)
    files.upload(f"{kept}/_temporary/0/part-0.parquet", [b"PAR1"])
    files.upload(f"{kept}/part-0.parquet", [b"PAR1"])


@pytest.mark.parametrize("spoil", [without_counts, without_a_file, half_written])
def test_rows_that_are_not_whole_are_made_again_from_the_csv(trainings, spoil):
    """
    Only those of the batch that lost them, and the train set is what it would have been.
    """
    before, _ = trainings.train("b-1")
    spoil(trainings.store.files, trainings.kept("b-3"))

    rows, _ = trainings.train("b-1")

    assert ["b-3"] == trainings.parsed
    assert before == rows


def test_used_batches_are_read_by_the_names_of_their_columns(trainings):
    """
    In a declaration with the columns in another order, and one more, no cell moves; the new one is missing everywhere.
    """
    before, _ = trainings.train("b-1")
    moved = (TOYS.columns[-1], Column("colour", "category"), *TOYS.columns[:-1])
    other = replace(TOYS, columns=moved, one_hot=(*TOYS.one_hot, "colour"))

    rows, counts = trainings.train("b-1", other)

    assert {None} == {row["colour"] for row in rows}
    now = by_key(rows)
    others = {key for key, cells in by_key(before).items() if {**cells, "colour": None} != now.pop(key)}
    assert {} == now
    assert others <= {f"k{first + number}" for first in (0, 150, 250) for number in REPEATED}, (
        "chosen of several by all"
    )
    assert {(215, 10)} == {(one.rows, one.quarantined) for one in counts.values()}


def test_rows_of_another_declaration_are_not_read(trainings):
    """
    With a feature more, and the whole row as the key, every batch is parsed anew, and once.
    """
    other = replace(TOYS, one_hot=("kind", "note"), key=())

    rows, _ = trainings.train("b-1", other)

    assert {"b-1", "b-2", "b-3"} == set(trainings.parsed)
    assert trainings.from_csv(other) == rows
    assert {'a "quoted"\nline', "Bätön ☃"} <= {row["note"] for row in rows}
    assert rows == trainings.train("b-1", other)[0]
    assert [] == trainings.parsed
