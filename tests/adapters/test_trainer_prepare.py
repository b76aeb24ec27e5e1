"""What a training reads beside its own batch, from a real HDFS."""

import uuid
from types import SimpleNamespace

import pytest

from apps import datasets
from apps.common.batches import MANIFEST, Batch, BatchStore
from apps.common.errors import BatonError
from apps.common.manifest import Manifest, describe_part, schema_hash
from apps.common.names import StackNames
from apps.trainer.found_batch import FoundBatch
from apps.trainer.prepare import verify

BOSTON = datasets.get("boston_housing")


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
