"""A version's files, fetched from a real MLflow and compared with what its registry and the release keep of them."""

import uuid
from dataclasses import replace

import pytest
from mlflow import MlflowClient

from apps.common.batches import Batch
from apps.common.errors import ModelRefused
from apps.common.files import sha256
from apps.common.model import fetch
from apps.common.model_files import CONTRACT, MANIFEST
from apps.common.names import StackNames
from apps.trainer.artifacts import checksums
from apps.trainer.mlflow_run import MlflowRun
from tests.adapters.small_model import registered, vouch, write_bare_files


@pytest.fixture
def run(mlflow):
    """The training of a model of the test's own."""
    return MlflowRun(mlflow, StackNames("baton", f"model_{uuid.uuid4().hex[:8]}"), Batch("b-0001", 1, uuid.uuid4().hex))


@pytest.fixture
def files(tmp_path):
    """The files of a version, as far as a server looks before Spark does."""
    return write_bare_files(tmp_path)


def test_a_version_is_fetched_as_it_was_registered(mlflow, run, files, tmp_path_factory):
    """What the trainer tags the version with is what the server finds."""
    version = registered(run, files)
    model = fetch(mlflow, version.target, tmp_path_factory.mktemp("fetched"))

    assert [] == model.fields.inputs
    assert checksums(files) == checksums(model.folder)
    assert sha256(files / MANIFEST) == model.manifest_sha256


def test_files_that_were_changed_together_with_their_checksums_are_refused(mlflow, run, files, tmp_path):
    """Whoever can write artifacts writes the manifest too, and is found out by the tag of the version."""
    version = registered(run, files)
    (files / CONTRACT).write_text('{"input_columns": ["another"]}')
    vouch(files)
    run.upload(version.run_id, files)

    with pytest.raises(ModelRefused, match=rf"{MANIFEST} must have sha256 [0-9a-f]{{64}}, its tag; got [0-9a-f]{{64}}"):
        fetch(mlflow, version.target, tmp_path / "fetched")


def test_a_version_registered_without_the_tag_is_fetched_all_the_same(mlflow, run, files, tmp_path):
    """As one is that an earlier Baton registered: its files are held against its manifest alone."""
    version = registered(run, files)
    client = MlflowClient(tracking_uri=mlflow, registry_uri=mlflow)
    client.delete_model_version_tag(version.name, version.version, "manifest_sha256")

    assert fetch(mlflow, replace(version.target, manifest_sha256=""), tmp_path / "fetched").folder.exists()


def test_a_version_that_is_not_the_one_rolled_out_is_refused(mlflow, run, files, tmp_path):
    """A model that was deleted and begun again has a version of the same number, of another run and other files."""
    before = registered(run, files).target
    MlflowClient(tracking_uri=mlflow, registry_uri=mlflow).delete_registered_model(before.model)
    (files / CONTRACT).write_text('{"input_columns": ["another"]}')
    vouch(files)
    again = registered(run, files).target

    assert before.version == again.version
    with pytest.raises(ModelRefused) as refused:
        fetch(mlflow, before, tmp_path / "fetched")
    assert f"its run must be {before.run_id}; got {again.run_id}" in str(refused.value)
    assert f"its manifest_sha256 must be {before.manifest_sha256}; got {again.manifest_sha256}" in str(refused.value)
    with pytest.raises(ModelRefused, match=f"its run must be {before.run_id}"):
        fetch(mlflow, replace(again, run_id=before.run_id), tmp_path / "fetched")
    with pytest.raises(ModelRefused, match=f"its manifest_sha256 must be {before.manifest_sha256}"):
        fetch(mlflow, replace(again, manifest_sha256=before.manifest_sha256), tmp_path / "fetched")
    assert fetch(mlflow, replace(again, run_id=""), tmp_path / "fetched").folder.exists()


def test_a_release_that_names_a_manifest_takes_no_version_whose_tag_was_removed(mlflow, run, files, tmp_path):
    """Removing the tag would otherwise open the way to files of one's own."""
    version = registered(run, files)
    client = MlflowClient(tracking_uri=mlflow, registry_uri=mlflow)
    client.delete_model_version_tag(version.name, version.version, "manifest_sha256")

    with pytest.raises(ModelRefused, match=r"its manifest_sha256 must be [0-9a-f]{64}; got none"):
        fetch(mlflow, version.target, tmp_path / "fetched")
