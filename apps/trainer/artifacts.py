"""What a training leaves in MLflow beside its numbers: the model, its contract, its golden rows and their checksums."""

import json
from pathlib import Path
from typing import Any

import mlflow.spark
import pyspark
from pyspark.ml import PipelineModel

from apps.common.files import sha256
from apps.common.model_files import BATON, CONTRACT, GOLDEN, LOCAL, MANIFEST, MODEL


def save_model(folder: Path, pipeline: PipelineModel, saving: str) -> None:
    """
    Write ``model/`` by way of the folder or URL ``saving``, where Spark writes it, and the local format in ``baton/``.

    Others read the former. Its requirements are given, since to infer them MLflow would start another Spark.
    """
    mlflow.spark.save_model(
        pipeline,
        str(folder / MODEL),
        dfs_tmpdir=saving,
        pip_requirements=[f"pyspark=={pyspark.__version__}", f"mlflow=={mlflow.__version__}"],
    )
    pipeline._to_java().write().saveToLocal(str(folder / LOCAL))  # noqa: SLF001 - public in the JVM only


def write(folder: Path, contract: dict[str, Any], golden: list[dict[str, Any]]) -> None:
    """Write ``baton/`` beside ``model/``, the manifest of all of it last."""
    (folder / BATON).mkdir(exist_ok=True)
    (folder / CONTRACT).write_text(as_json(contract))
    (folder / GOLDEN).write_text("".join(f"{json.dumps(row)}\n" for row in golden))
    (folder / MANIFEST).write_text(as_json(checksums(folder)))


def as_json(value: Any) -> str:
    """The text of a JSON artifact."""
    return json.dumps(value, indent=1)


def checksums(folder: Path) -> dict[str, str]:
    """The sha256 of each file below ``folder``, by its path from there."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): sha256(path) for path in files}


def size(folder: Path) -> int:
    """The bytes of all files below ``folder``."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
