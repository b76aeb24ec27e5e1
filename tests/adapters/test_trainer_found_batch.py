"""Which batch a trainer takes, on a real HDFS and a real MLflow, when another of its name has come since."""

import csv
import uuid
from dataclasses import replace

import pytest
import structlog

from apps import datasets
from apps.common.batches import BatchStore
from apps.common.errors import BatchRefused, BatonError, SettingsError
from apps.common.manifest import MANIFEST, Manifest, describe_part, schema_hash
from apps.common.names import StackNames
from apps.common.schedule import hash_of
from apps.trainer.found_batch import TrainingContext, find, refuse
from apps.trainer.prepare import verify
from apps.trainer.settings import TrainerSettings

NAME = "b-0001"


class NamedBatches:
    """The batches of a dataset of its own."""

    def __init__(self, hdfs, mlflow, folder):
        """Nothing landed yet."""
        self.folder = folder
        self.dataset = replace(datasets.get("boston_housing"), name=f"boston_{uuid.uuid4().hex[:8]}")
        self.store = BatchStore(hdfs, StackNames("baton", self.dataset.name))
        self.told = {"hdfs": hdfs, "dataset": self.dataset.name, "mlflow": mlflow, "scratch": folder}

    def put(self, content, batch=NAME):
        """Drop a batch of one row; its content hash."""
        part = self.folder / "part-0.csv"
        columns = self.dataset.column_names
        with part.open("w", newline="") as file:
            csv.writer(file).writerows([columns, [content] * len(columns)])
        manifest = Manifest(self.dataset.name, 1, schema_hash(columns), "2026-06-30T12:00:00Z", (describe_part(part),))
        self.store.put(batch, [part], manifest)
        return manifest.content_hash

    def context(self, content_hash="", batch=NAME):
        """What a trainer knows that is asked for this content."""
        settings = TrainerSettings(batch=batch, content_hash=content_hash, **self.told)
        return TrainingContext(settings, self.dataset, self.store, None, structlog.testing.CapturingLogger())


@pytest.fixture
def scene(hdfs, mlflow, tmp_path):
    """A fresh scene."""
    return NamedBatches(hdfs, mlflow, tmp_path)


def test_a_batch_is_taken_by_its_name_and_its_content(scene):
    """What was asked for is found; run by hand, without a content, the name is enough."""
    content_hash = scene.put("1")

    found = find(scene.context(content_hash))

    assert ("landing", content_hash) == (found.place, found.batch.content_hash)
    assert content_hash == find(scene.context()).batch.content_hash


def test_a_batch_that_was_taken_out_of_used_is_trained_on_again(scene):
    """Under its own name or another one; while it is used the same content is refused."""
    scene.put("1")
    found = find(scene.context())
    found.run.finish(made := found.run.begin())
    found.run.register(made, "")
    scene.store.use(NAME)
    assert find(scene.context()).version
    scene.put("1", "b-0002")
    with pytest.raises(BatchRefused, match="same content"):
        find(scene.context(batch="b-0002"))

    scene.store.files.delete(scene.store.folder("used", NAME))
    scene.put("1")

    assert [None, None] == [find(scene.context(batch=name)).version for name in (NAME, "b-0002")]


def test_another_batch_of_that_name_is_neither_trained_on_nor_refused(scene):
    """The wish is stale: nothing is done, and that is held against no batch."""
    scene.put("1")
    stale = scene.context("0" * 64)

    with pytest.raises(SettingsError, match="content 0000"):
        find(stale)
    refuse(stale, "a reason that belongs to another batch")

    assert [NAME] == scene.store.names("landing")


def test_a_used_batch_is_finished_though_another_of_its_name_has_landed(scene):
    """A training that died after the move to used/ goes on with the batch that it is about."""
    used = scene.put("1")
    scene.store.use(NAME)
    landed = scene.put("2")

    found = find(scene.context(used))

    assert ("used", used) == (found.place, found.batch.content_hash)
    with pytest.raises(BatchRefused, match="is used already"):
        find(scene.context(landed))


def test_a_manifest_that_was_spoilt_since_is_another_content(scene):
    """It is the watcher's to wait for it or to refuse it."""
    wanted = scene.put("1")
    scene.store.write(f"{scene.store.folder('landing', NAME)}/{MANIFEST}", b"{}")

    with pytest.raises(SettingsError):
        find(scene.context(wanted))
    with pytest.raises(BatchRefused):
        find(scene.context())


def test_a_used_batch_that_lost_a_part_is_held_against_no_new_batch(scene):
    """The old batch is named, with what to do; the new one stays where it is."""
    scene.put("1", "b-0000")
    scene.store.use("b-0000")
    scene.put("2")
    context = scene.context()
    verify(context, find(context))
    scene.store.files.delete(f"{scene.store.folder('used', 'b-0000')}/part-0.csv")

    with pytest.raises(BatonError, match=r"used/.*/b-0000 must hold .*; got part-0.csv missing or changed") as caught:
        verify(context, find(context))

    assert not isinstance(caught.value, BatchRefused)


INSTANT = "schedule-20261128T020000Z"


def test_a_scheduled_training_brings_no_batch_and_has_its_version_once(scene):
    """It is found by its name and the hash of that, whatever batch is called so; finished, it is not done again."""
    scene.put("1", INSTANT)
    context = scene.context(hash_of(INSTANT), INSTANT)

    found = find(context)
    assert ("", None, None, 0) == (found.place, found.manifest, found.version, found.batch.rows)
    refuse(context, "what is wrong with an instant is no fault of a batch")
    assert [INSTANT] == scene.store.names("landing")

    found.run.finish(made := found.run.begin())
    version = found.run.register(made, "")
    assert {"reason": "schedule", "missed": "0"}.items() <= version.tags.items()
    assert version.version == find(context).version.version
    assert find(scene.context(batch=INSTANT)).version is None


def test_a_scheduled_training_reads_every_used_batch_and_wants_one_at_least(scene):
    """The one that has its name too; with none it is tried again later, and held against nobody."""
    context = scene.context(hash_of(INSTANT), INSTANT)
    with pytest.raises(BatonError, match="must have a batch to train on; got none") as caught:
        verify(context, find(context))
    assert not isinstance(caught.value, BatchRefused)

    for number, name in enumerate((NAME, INSTANT)):
        scene.put(str(number), name)
        scene.store.use(name)

    assert {NAME, INSTANT} == verify(context, find(context)).keys()
