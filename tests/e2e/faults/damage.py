"""Versions that nobody trained so: the files of the champion, damaged, and registered as another one."""

import json
from contextlib import contextmanager

from mlflow import MlflowClient, artifacts

from apps.common.files import sha256
from apps.common.model_files import BATON, CONTRACT, GOLDEN, LOCAL, MANIFEST, PIPELINE
from apps.common.registry import MANIFEST_SHA256
from tests.adapters.small_model import vouch


@contextmanager
def registered(pipeline, folder, harm):
    """Register a damaged copy of the champion; its number. The version is gone afterwards."""
    champion, address = pipeline.champion(), pipeline.environment["BATON_MLFLOW"]
    client = MlflowClient(address, address)
    folder.mkdir(parents=True)
    artifacts.download_artifacts(run_id=champion.run_id, dst_path=str(folder), tracking_uri=address)
    (folder / BATON / "another").touch()  # files whose manifest is that of a version which served are kept, and whole
    vouch(folder)
    harm(folder)
    run = client.create_run(client.get_run(champion.run_id).info.experiment_id)
    client.log_artifacts(run.info.run_id, str(folder))
    source = f"{run.info.artifact_uri}/model"
    tags = {**champion.tags, MANIFEST_SHA256: sha256(folder / MANIFEST)}
    version = client.create_model_version(champion.name, source, run.info.run_id, tags=tags)
    client.set_terminated(run.info.run_id, "FINISHED")
    try:
        yield str(version.version)
    finally:
        client.delete_model_version(champion.name, version.version)


def _largest(folder):
    return max((one for one in (folder / PIPELINE).rglob("*") if one.is_file()), key=lambda one: one.stat().st_size)


def change_a_byte(folder):
    """In the middle of the largest file of the pipeline."""
    file = _largest(folder)
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def cut_short(folder):
    """The largest file of the pipeline lost its second half."""
    file = _largest(folder)
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def name_a_foreign_class(folder):
    """The first stage of both formats is of a class that is not Spark ML's own."""
    for pipeline in (PIPELINE, LOCAL):
        metadata = next(one for one in sorted((folder / pipeline / "stages").rglob("*")) if _names_a_class(one))
        told = json.loads(metadata.read_text())
        metadata.write_text(json.dumps({**told, "class": "org.example.Stage"}))
    vouch(folder)


def _names_a_class(file):
    return file.is_file() and "metadata" in str(file) and file.suffix != ".crc" and '"class"' in file.read_text()


def read_another_column(folder):
    """The contract names a column that the pipeline does not read, in place of one that it does."""
    contract = json.loads((folder / CONTRACT).read_text())
    contract["input_columns"][0] = "another"
    (folder / CONTRACT).write_text(json.dumps(contract))
    vouch(folder)


def expect_another_value(folder):
    """The golden rows have other predictions than the pipeline gives."""
    rows = [json.loads(line) for line in (folder / GOLDEN).read_text().splitlines()]
    for row in rows:
        if row.get("prediction") is not None:
            row["prediction"] += 1000
    (folder / GOLDEN).write_text("".join(json.dumps(row) + "\n" for row in rows))
    vouch(folder)
