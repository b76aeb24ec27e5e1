"""
A version's files, fetched and checked before Spark may touch them.

Loading a model runs what its metadata names, so every file must have the sha256 that the trainer wrote down, and
every class must be Spark ML's own. What the trainer wrote down must itself have the sha256 that the release names and
the registry keeps, so that whoever can write a model's files, and no more, cannot change it.
"""

import hashlib
import json
import math
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path, PurePosixPath
from typing import Any

from apps.common import registry, spark_paths
from apps.common.errors import ModelRefused
from apps.common.model_files import CONTRACT, GOLDEN, LOCAL, MANIFEST, PIPELINE
from apps.common.sql_statements import statement_problems
from apps.common.target import Target

TRANSFORMER = "SQLTransformer"
ALLOWED = ("org.apache.spark.ml.", "pyspark.ml.")
DOWNLOADS = 8
TOLERANCE = 1e-9  # of a prediction, between the trainer that made it and whoever loads the model
SHOWN = 16  # hex digits of the sha256 of a manifest, in answers


@dataclass(frozen=True)
class RequestFields:
    """The fields that a version reads (``inputs``), and all those that a request may have (``declared``)."""

    inputs: Sequence[str]
    declared: Sequence[str]


@dataclass(frozen=True)
class Model:
    """A checked copy of a version's files in ``folder``, which Spark reads at the URL ``location``."""

    version: str
    folder: Path
    location: str
    manifest_sha256: str = ""

    @property
    def manifest(self) -> str:
        """What answers name the files by: the first digits of the sha256 of their manifest."""
        return self.manifest_sha256[:SHOWN]

    @property
    def pipeline(self) -> Path:
        """The folder of the saved PipelineModel, in the format that everybody reads."""
        return self.folder / PIPELINE

    @property
    def local_pipeline(self) -> Path | None:
        """The folder of the same in Spark's local format; None in a version of a trainer that did not write it."""
        folder = self.folder / LOCAL
        return folder if folder.is_dir() else None

    @property
    def pipelines(self) -> list[Path]:
        """Both folders, or the one that there is."""
        return [self.pipeline, *filter(None, [self.local_pipeline])]

    @property
    def contract(self) -> dict[str, Any]:
        """What the trainer wrote down of what the model reads, and was trained on."""
        return dict(json.loads((self.folder / CONTRACT).read_text()))

    @property
    def fields(self) -> RequestFields:
        """The raw columns that the pipeline reads, and those declared; a contract without these declares the former."""
        contract = self.contract
        inputs = contract["input_columns"]
        return RequestFields(inputs, contract.get("columns", inputs))

    @property
    def golden_url(self) -> str:
        """The golden rows, a JSON object a line: ``fields``, and the ``prediction`` or ``rejection`` of the trainer."""
        return f"{self.location}/{GOLDEN}"

    @property
    def golden(self) -> list[dict[str, Any]]:
        """The golden rows, read; one without a field is no request that a model ever sees."""
        lines = (self.folder / GOLDEN).read_text().splitlines()
        return [row for row in map(json.loads, lines) if row["fields"]]

    def require_computing(self, spark: Any) -> None:
        """Raise ModelRefused when a statement in it does more than compute; ``spark`` is the session that reads it."""
        read = cache(partial(statement_problems, spark))  # both formats have the same, and each takes a second to read
        if problems := [
            f"{path}: its statement {problem}"
            for pipeline in self.pipelines
            for path, statement in statements(pipeline).items()
            for problem in read(statement)
        ]:
            raise ModelRefused(f"version {self.version} must only compute; {'; '.join(problems)}; train it again")


def same(golden: dict[str, Any], body: dict[str, Any]) -> bool:
    """Whether an answer's body says what the golden row says."""
    if golden["rejection"] is not None or body["rejection"] is not None:
        return bool(golden["rejection"] == body["rejection"])
    return math.isclose(golden["prediction"], body["prediction"], rel_tol=TOLERANCE)


def fetch(mlflow: str, target: Target, folder: Path) -> Model:
    """
    Download a registered version into ``folder`` and check it; raise ModelRefused with every problem.

    A version that was registered before its manifest was a tag of it has none to compare with.
    """
    files = registry.Artifacts(mlflow, target.model, target.version)
    if problems := differences(target, files.version.target):
        message = f"version {target.version} of {target.model} must be what was rolled out; {'; '.join(problems)}"
        raise ModelRefused(f"{message}; it was registered anew: move the alias champion to a version")
    return download(files.read, replace(target, manifest_sha256=files.version.target.manifest_sha256), folder)


def differences(target: Target, registered: Target) -> list[str]:
    """What a release names and the registry names otherwise, as sentences; it cannot differ from what is not named."""
    found = [
        ("run", target.run_id, registered.run_id),
        (registry.MANIFEST_SHA256, target.manifest_sha256, registered.manifest_sha256),
    ]
    return [
        f"its {name} must be {wanted}; got {got or 'none'}" for name, wanted, got in found if wanted not in ("", got)
    ]


def download(read: Callable[[str], bytes], target: Target, folder: Path) -> Model:
    """
    Copy a version's files into ``folder`` and check them; raise ModelRefused with every problem.

    ``read`` gives the content of a file. It raises FileNotFoundError, which passes when there is no manifest either.
    """
    version, told = target.version, target.manifest_sha256
    manifest = read(MANIFEST)
    own = hashlib.sha256(manifest).hexdigest()
    if told not in ("", own):
        raise ModelRefused(f"version {version}: {MANIFEST} must have sha256 {told}, its tag; got {own}; train it again")
    checksums = read_checksums(manifest)

    def copy(item: tuple[str, str]) -> str | None:
        path, sha256 = item
        try:
            content = read(path)
        except FileNotFoundError:
            return f"{path} must be there; it is not"
        got = hashlib.sha256(content).hexdigest()
        if got != sha256:
            return f"{path} must have sha256 {sha256}; got {got}"
        _write(folder / path, content)
        return None

    with ThreadPoolExecutor(DOWNLOADS) as pool:
        problems = [problem for problem in pool.map(copy, checksums.items()) if problem]
    copied = Model(version, folder, spark_paths.url(folder), own)
    problems += [problem for pipeline in copied.pipelines for problem in foreign_classes(pipeline)]
    if problems:
        message = f"version {version} must be as it was trained; " + "; ".join(problems) + "; train it again"
        raise ModelRefused(message)
    _write(folder / MANIFEST, manifest)
    return copied


def _write(file: Path, content: bytes) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)


def read_checksums(manifest: bytes) -> dict[str, str]:
    """Path -> sha256 of every file of the model."""
    try:
        checksums = {str(path): str(sha256) for path, sha256 in json.loads(manifest).items()}
    except (ValueError, AttributeError) as error:
        raise ModelRefused(f"{MANIFEST} must be a JSON object of checksums; got {error}; train it again") from error
    outside = [path for path in checksums if PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts]
    if outside:
        raise ModelRefused(f"{MANIFEST}: paths must stay inside the model; got {outside}; train it again")
    if missing := sorted({CONTRACT, GOLDEN} - checksums.keys()):
        raise ModelRefused(f"{MANIFEST} must name {' and '.join(missing)}; it does not; train it again")
    return checksums


def foreign_classes(pipeline: Path) -> list[str]:
    """Classes named in a saved pipeline that are not Spark ML's own, as sentences; and a pipeline without any."""
    stages = _metadata(pipeline)
    if not stages:
        return [f"{pipeline.name} must hold a saved Spark pipeline; got no metadata"]
    crowded = [folder for folder, count in Counter(path.parent for path in stages).items() if count > 1]
    return [
        *(f"{folder.relative_to(pipeline)} must hold one file; got several" for folder in crowded),
        *(
            f"{path.relative_to(pipeline)} must name a class of Spark ML; got {name!r}"
            for path, stage in stages.items()
            if not (name := str(stage.get("class", ""))).startswith(ALLOWED)
        ),
    ]


def statements(pipeline: Path) -> dict[str, str]:
    """The statement of each SQLTransformer in a saved pipeline, empty where it has none, by the file that holds it."""
    return {
        str(path.relative_to(pipeline)): str(stage.get("paramMap", {}).get("statement", ""))
        for path, stage in _metadata(pipeline).items()
        if str(stage.get("class", "")).rpartition(".")[2] == TRANSFORMER
    }


def _metadata(pipeline: Path) -> dict[Path, dict[str, Any]]:
    """What each file that Spark takes for metadata says of a stage, nested ones too; nothing where none can read it."""
    files = [*pipeline.rglob("metadata/*"), *(path for path in pipeline.rglob("metadata") if path.is_file())]
    return {path: _first_object(path) for path in sorted(files) if not path.name.startswith((".", "_"))}


def _first_object(path: Path) -> dict[str, Any]:
    """The object in the first line of a file; empty for anything else, and for a name that is there twice."""
    try:
        return dict(json.loads(path.read_text().split("\n", 1)[0], object_pairs_hook=_without_repeats))
    except (ValueError, TypeError):
        return {}


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Of a name that is there twice Spark may take another value than we."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError(pairs)
    return found
