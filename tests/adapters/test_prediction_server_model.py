"""A version's files, fetched from a real MLflow and compared with what its registry keeps of them."""

import json
import uuid

import pytest
from mlflow import MlflowClient

from apps.common.batches import Batch
from apps.common.errors import ModelRefused
from apps.common.files import sha256
from apps.common.model_files import CONTRACT, GOLDEN, MANIFEST, PIPELINE
from apps.common.names import StackNames
from apps.prediction_server.model import fetch
from apps.trainer.artifacts import checksums
from apps.trainer.mlflow_run import MlflowRun


@pytest.fixture
def run(mlflow):
    """The training of a model of the test's own."""
    return MlflowRun(mlflow, StackNames("baton", f"model_{uuid.uuid4().hex[:8]}"), Batch("b-0001", 1, uuid.uuid4().hex))


@pytest.fixture
def files(tmp_path):
    """The files of a version, as far as a server looks before Spark does."""
    metadata = tmp_path / PIPELINE / "metadata" / "part-00000"
    metadata.parent.mkdir(parents=True)
    metadata.write_text(json.dumps({"class": "pyspark.ml.pipeline.PipelineModel"}))
    (tmp_path / MANIFEST).parent.mkdir()
    (tmp_path / CONTRACT).write_text('{"input_columns": []}')
    (tmp_path / GOLDEN).write_text("")
    vouch(tmp_path)
    return tmp_path


def vouch(files):
    """Write the manifest of what is there."""
    (files / MANIFEST).unlink(missing_ok=True)
    (files / MANIFEST).write_text(json.dumps(checksums(files)))


def registered(run, files):
    """The version that the trainer makes of ``files``."""
    run_id = run.begin()
    run.upload(run_id, files)
    return run.register(run_id, sha256(files / MANIFEST))


def test_a_version_is_fetched_as_it_was_registered(mlflow, run, files, tmp_path_factory):
    """What the trainer tags the version with is what the server finds."""
    version = registered(run, files)
    model = fetch(mlflow, version.name, version.version, tmp_path_factory.mktemp("fetched"))

    assert [] == model.fields.inputs
    assert checksums(files) == {**checksums(model.folder), MANIFEST: sha256(files / MANIFEST)}


def test_files_that_were_changed_together_with_their_checksums_are_refused(mlflow, run, files, tmp_path):
    """Whoever can write artifacts writes the manifest too, and is found out by the tag of the version."""
    version = registered(run, files)
    (files / CONTRACT).write_text('{"input_columns": ["another"]}')
    vouch(files)
    run.upload(version.run_id, files)

    with pytest.raises(ModelRefused, match=rf"{MANIFEST} must have sha256 [0-9a-f]{{64}}, its tag; got [0-9a-f]{{64}}"):
        fetch(mlflow, version.name, version.version, tmp_path / "fetched")


def test_a_version_registered_without_the_tag_is_fetched_all_the_same(mlflow, run, files, tmp_path):
    """As one is that an earlier Baton registered: its files are held against its manifest alone."""
    version = registered(run, files)
    client = MlflowClient(tracking_uri=mlflow, registry_uri=mlflow)
    client.delete_model_version_tag(version.name, version.version, "manifest_sha256")

    assert fetch(mlflow, version.name, version.version, tmp_path / "fetched").folder.exists()
