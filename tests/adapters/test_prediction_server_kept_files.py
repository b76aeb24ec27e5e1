"""The files of what serves, kept in a real HDFS beside a real MLflow."""

import socket
import time
import uuid

import pytest
import structlog
from mlflow import MlflowClient

from apps.common import model
from apps.common.batches import Batch
from apps.common.errors import ModelRefused, Unavailable
from apps.common.model_files import CONTRACT, GOLDEN, MANIFEST, PIPELINE
from apps.common.names import StackNames
from apps.prediction_server import kept_files
from apps.prediction_server.kept_files import KEPT, KeptFiles
from apps.trainer.artifacts import checksums
from apps.trainer.mlflow_run import MlflowRun
from tests.adapters.small_model import registered, vouch, write_bare_files

NOBODY = "127.0.0.1:9"
NO_MLFLOW, NO_HDFS = f"http://{NOBODY}", KeptFiles(f"hdfs://{NOBODY}", "/baton")


@pytest.fixture
def kept(hdfs):
    """The kept files of a stack that no other test uses."""
    return KeptFiles(hdfs, f"/baton-{uuid.uuid4().hex[:8]}")


@pytest.fixture
def version(mlflow, tmp_path):
    """What a release of a registered version names; its files are in ``version`` of the test's folder."""
    run = MlflowRun(mlflow, StackNames("toys", f"model_{uuid.uuid4().hex[:8]}"), Batch("b-0001", 1, uuid.uuid4().hex))
    return registered(run, write_bare_files(tmp_path / "version", uuid.uuid4().hex)).target


@pytest.fixture
def log():
    """What was logged."""
    return structlog.testing.CapturingLogger()


def warnings(log):
    """The reasons of the warnings logged."""
    return [call.kwargs["reason"] for call in log.calls if call.method_name == "warning"]


def serve(kept, mlflow, target, folder):
    """What a server does with the files of a version; where they are in HDFS."""
    copied = model.fetch(mlflow, target, folder)
    kept.keep(copied)
    kept.note_served(copied.manifest_sha256)
    return kept.folder(copied.manifest_sha256)


def forget(mlflow, target):
    """Delete a version in MLflow."""
    MlflowClient(tracking_uri=mlflow, registry_uri=mlflow).delete_model_version(target.model, target.version)


def test_what_served_is_fetched_again_without_mlflow(kept, mlflow, version, tmp_path, log):
    """MLflow is away, or has the version no more: the kept files are the same, each of them checked."""
    location = serve(kept, mlflow, version, tmp_path / "first")

    for away in (NO_MLFLOW, mlflow):
        forget(mlflow, version) if away == mlflow else None
        copied = kept_files.fetch(kept, away, version, tmp_path / uuid.uuid4().hex, log)
        assert checksums(tmp_path / "version") == checksums(copied.folder)
        assert (version.version, version.manifest_sha256) == (copied.version, copied.manifest_sha256)
    assert kept.files.exists(f"{location}/{MANIFEST}")
    assert [] == log.calls


def test_executors_read_what_was_checked_and_nothing_beside_it(kept, mlflow, version, tmp_path):
    """A file that somebody adds to what is kept, or left where they read, comes to no executor."""
    location = serve(kept, mlflow, version, tmp_path / "first")
    shared = f"{kept.root}/scratch/pod/model"
    for folder in (location, shared):
        kept.files.write(f"{folder}/{PIPELINE}/metadata/another", b"{}")

    copied = kept.fetch(version, tmp_path / "second")
    there = kept.share(copied, f"{kept.files.url}{shared}")

    assert f"{kept.files.url}{shared}" == there.location
    assert ["part-00000"] == [one.name for one in kept.files.listing(f"{shared}/{PIPELINE}/metadata")]
    assert not (copied.folder / PIPELINE / "metadata" / "another").exists()


def test_a_version_that_is_not_kept_comes_from_mlflow(kept, mlflow, version, tmp_path, log):
    """HDFS says that it has none, or is away, which is logged: a new version can be rolled out all the same."""
    for asked in (kept, NO_HDFS):
        copied = kept_files.fetch(asked, mlflow, version, tmp_path / uuid.uuid4().hex, log)
        assert checksums(tmp_path / "version") == checksums(copied.folder)
    assert ["HDFS must answer"] == [reason[:16] for reason in warnings(log)]


def test_a_version_that_can_be_had_nowhere_now_is_not_refused(kept, mlflow, version, tmp_path, log):
    """It may be kept where nobody answers; only when HDFS has none and MLflow neither is the version at fault."""
    with pytest.raises(Unavailable, match="MLflow must answer"):
        kept_files.fetch(kept, NO_MLFLOW, version, tmp_path / "a", log)
    forget(mlflow, version)
    with pytest.raises(Unavailable, match=r"version must be a registered one of .*; nor from HDFS: HDFS must answer"):
        kept_files.fetch(NO_HDFS, mlflow, version, tmp_path / "b", log)
    with pytest.raises(ModelRefused, match="version must be a registered one"):
        kept_files.fetch(kept, mlflow, version, tmp_path / "c", log)


def test_an_hdfs_that_says_nothing_is_not_waited_for(mlflow, version, tmp_path, monkeypatch, log):
    """It takes connections and answers none, as a NameNode does that hangs: MLflow is asked in time."""
    monkeypatch.setattr(kept_files, "ANSWER_S", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        asked = KeptFiles(f"hdfs://127.0.0.1:{silent.getsockname()[1]}", "/baton")
        began = time.monotonic()
        copied = kept_files.fetch(asked, mlflow, version, tmp_path / "first", log)

    assert checksums(tmp_path / "version") == checksums(copied.folder)
    assert time.monotonic() - began < 10
    assert [f"HDFS must answer at {asked.files.url} within 0.5 s; it does not; is the stack up?"] == warnings(log)


def changed_file(files, folder, _own):
    """A byte of a file."""
    files.write(f"{folder}/{CONTRACT}", b"{}")


def changed_manifest(files, folder, own):
    """A file together with the manifest."""
    (own / CONTRACT).write_text("{}")
    vouch(own)
    for path in (CONTRACT, MANIFEST):
        files.write(f"{folder}/{path}", (own / path).read_bytes())


def file_removed(files, folder, _own):
    """A file that is gone."""
    files.delete(f"{folder}/{GOLDEN}")


@pytest.mark.parametrize("damage", [changed_file, changed_manifest, file_removed])
def test_kept_files_that_were_changed_are_not_used_and_made_good(kept, mlflow, version, tmp_path, log, damage):
    """They are checked as MLflow's are, and removed; MLflow's are taken, and kept when they serve."""
    location = serve(kept, mlflow, version, tmp_path / "first")
    before = checksums(tmp_path / "version")
    damage(kept.files, location, tmp_path / "version")

    copied = kept_files.fetch(kept, mlflow, version, tmp_path / "second", log)

    assert before == checksums(copied.folder)
    assert 1 == len(warnings(log))
    assert not kept.files.exists(location)
    kept.keep(copied)
    assert before == checksums(kept_files.fetch(kept, NO_MLFLOW, version, tmp_path / "third", log).folder)


def test_a_copy_that_was_not_finished_is_none(kept, mlflow, version, tmp_path, monkeypatch, log):
    """A server that is killed while it copies leaves nothing below models/; the next one that serves keeps it."""
    copied = model.fetch(mlflow, version, tmp_path / "first")
    upload, left = kept.files.upload, [2]

    def killed(path, chunks):
        left[0] -= 1
        if left[0] < 0:
            raise Unavailable("killed")
        upload(path, chunks)

    with monkeypatch.context() as patch:
        patch.setattr(kept.files, "upload", killed)
        with pytest.raises(Unavailable, match="killed"):
            kept.keep(copied)
    assert [] == kept.files.listing(f"{kept.root}/models")
    with pytest.raises(FileNotFoundError):
        kept.fetch(version, tmp_path / "second")

    kept.keep(copied)
    assert kept.fetch(version, tmp_path / "third")


def test_only_the_versions_that_served_last_are_kept(kept, mlflow, tmp_path):
    """What counts is when a version served last: one that was rolled back to outlives those before it."""
    run = MlflowRun(mlflow, StackNames("toys", f"model_{uuid.uuid4().hex[:8]}"), Batch("b-0001", 1, uuid.uuid4().hex))
    versions = [registered(run, write_bare_files(tmp_path / str(n), str(n))).target for n in range(5)]

    def served(number):
        serve(kept, mlflow, versions[number], tmp_path / uuid.uuid4().hex)
        there = {one.name for one in kept.files.listing(f"{kept.root}/models")}
        return {n for n, one in enumerate(versions) if one.manifest_sha256 in there}

    assert KEPT == 3
    assert [{0}, {0, 1}, {0, 1, 2}, {0, 1, 2}, {2, 0, 3}, {0, 3, 4}] == [served(n) for n in (0, 1, 2, 0, 3, 4)]


def test_what_serves_is_kept_as_soon_as_hdfs_answers(kept, mlflow, version, tmp_path, monkeypatch, log):
    """An HDFS that is away ends nothing: it is said once, and tried again."""
    monkeypatch.setattr(kept_files, "AGAIN_S", 0.01)
    copied = model.fetch(mlflow, version, tmp_path / "first")
    make_folder, left = kept.files.make_folder, [3]

    def away(path):
        left[0] -= 1
        if left[0] >= 0:
            raise Unavailable("HDFS must answer")
        make_folder(path)

    monkeypatch.setattr(kept.files, "make_folder", away)
    kept.keep_in_time(copied, log)

    assert (["HDFS must answer"], 2) == (warnings(log), len(log.calls))
    assert kept.fetch(version, tmp_path / "second")
