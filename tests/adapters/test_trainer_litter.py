"""What servers and trainers that are gone have left in a real HDFS."""

import time
import uuid
from dataclasses import replace
from types import SimpleNamespace

import pytest
import structlog
from mlflow import MlflowClient

from apps.common import registry
from apps.common.batches import MANIFEST, BatchStore
from apps.common.errors import Unavailable
from apps.common.names import StackNames
from apps.trainer import checked_batches
from apps.trainer.litter import OLD_S, TRAIN_SETS_KEPT, remove
from tests.toys import TOYS

OWN = ".training-own"


@pytest.fixture
def store(hdfs):
    """The batches below a root that no other test uses."""
    return BatchStore(hdfs, StackNames(f"stack-{uuid.uuid4().hex[:8]}", "toys"))


def sweep(store, mlflow="http://127.0.0.1:9", model="toys"):
    """What a trainer does that starts; what it logs. MLflow is asked where there are many train sets."""
    log = structlog.testing.CapturingLogger()
    found = SimpleNamespace(
        unnamed_train_set=lambda store: store.folder("train-sets", OWN),
        manifest=SimpleNamespace(content_hash="own"),
        run=SimpleNamespace(names=SimpleNamespace(model=model)),
    )
    used = {"b-0001": SimpleNamespace(content_hash="used")}
    remove(SimpleNamespace(store=store, log=log, dataset=TOYS, settings=SimpleNamespace(mlflow=mlflow)), found, used)
    return [(call.method_name, call.kwargs) for call in log.calls]


def leave(store, *paths, age):
    """A folder with a file at each path, last changed so many seconds ago by the NameNode's clock."""
    for path in paths:
        store.write(f"{path}/part-0", b"x")
        moment = int((store.now() - age) * 1000)
        store.files.client.set_times(path, moment, moment)


def names(store, folder):
    """What is in a folder."""
    return {entry.name for entry in store.files.listing(folder)}


def test_what_nobody_needs_is_removed_when_it_is_older_than_a_day(store):
    """
    Folders of pods, train sets of trainings that were given up, and the bad rows of batches that are gone.
    """
    scratch = f"{store.root}/scratch"
    sets, bad = store.folder("train-sets"), store.folder("quarantine")
    leave(store, f"{scratch}/old-pod", f"{sets}/.training-old", f"{sets}/7", f"{sets}/{OWN}", age=OLD_S + 60)
    leave(store, f"{scratch}/new-pod", f"{sets}/.training-new", f"{bad}/gone-lately", age=OLD_S - 60)
    leave(store, *(f"{bad}/{name}" for name in ("gone", "landed", "used", "refused")), age=OLD_S + 60)
    for path in (store.folder("landing", "landed"), store.folder("used", "used"), store.folder("refused", "refused.2")):
        store.write(f"{path}/{MANIFEST}", b"{}")

    logged = sweep(store)

    assert {"new-pod"} == names(store, scratch)
    assert {".training-new", "7", OWN} == names(store, sets)
    assert {"gone-lately", "landed", "used", "refused"} == names(store, bad)
    assert {f"{scratch}/old-pod", f"{sets}/.training-old", f"{bad}/gone"} == {said["path"] for _, said in logged}


def test_checked_rows_are_removed_when_no_batch_and_no_declaration_needs_them(store):
    """
    Those of the new batch and of the used ones stay, as the declaration makes them now.
    """
    checked = store.folder(checked_batches.PLACE)
    needed = [checked_batches.folder(store, TOYS, content) for content in ("own", "used")]
    before = checked_batches.folder(store, replace(TOYS, key=()), "used")
    leave(store, *needed, before, checked_batches.folder(store, TOYS, "refused"), age=OLD_S + 60)
    leave(store, f"{checked}/lately", age=OLD_S - 60)

    sweep(store)

    assert {"lately", *(path.rsplit("/", 1)[-1] for path in needed)} == names(store, checked)


def test_the_train_sets_of_champions_and_the_newest_are_kept(store, mlflow):
    """
    By time and not by number: 31 to 34 are of a model that was begun anew since. A roll-back leads to 1 again.
    """
    sets, model = store.folder("train-sets"), f"toys-{uuid.uuid4().hex[:8]}"
    client = MlflowClient(tracking_uri=mlflow, registry_uri=mlflow)
    run = client.create_run(client.create_experiment(model)).info
    client.create_registered_model(model)
    for _ in range(2):
        newest = client.create_model_version(model, f"{run.artifact_uri}/model", run.run_id)
    client.set_registered_model_alias(model, registry.CHAMPION, newest.version)
    client.set_registered_model_tag(model, registry.CHAMPIONS, "1 2")
    numbers = [str(number) for number in (31, 32, 33, 34, *range(1, TRAIN_SETS_KEPT + 5))]
    for place, number in enumerate(numbers):
        leave(store, f"{sets}/{number}", age=600 - place)
    leave(store, f"{sets}/{OWN}", age=700)

    sweep(store, mlflow, model)

    assert {"1", "2", *numbers[8:], OWN} == names(store, sets)


def test_a_clock_that_is_a_week_ahead_removes_nothing(store, monkeypatch):
    """
    The NameNode's clock says what is old.
    """
    leave(store, f"{store.root}/scratch/new-pod", age=60)
    right = time.time
    monkeypatch.setattr(time, "time", lambda: right() + 7 * OLD_S)

    sweep(store)

    assert {"new-pod"} == names(store, f"{store.root}/scratch")


def test_a_training_does_not_fail_for_what_it_may_not_remove(store, monkeypatch):
    """
    A folder that a company's HDFS keeps from the trainer is left, and said.
    """
    leave(store, f"{store.root}/scratch/old-pod", age=OLD_S + 60)

    delete = store.files.delete

    def denied(path):
        if path.endswith("old-pod"):
            raise Unavailable(path)
        delete(path)

    monkeypatch.setattr(store.files, "delete", denied)

    ((level, said),) = sweep(store)

    assert "warning" == level
    assert said["reason"].endswith("old-pod")
