"""
The gate: whether a version may become champion, judged by what is kept of it and of the champion, and nothing else.

So a training that was killed and is run again comes to the same judgement. The rows are the champion's own test rows,
as its train set has them. Neither model was fitted on them, since a row's fold is a function of its key alone; and
nothing that came since can have spoilt them: on the rows of a batch with its prices in cents, the version that learned
from these looks better than the champion.
"""

import tempfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812 - the name everyone knows it by

from apps.common import model, registry
from apps.common.errors import ModelRefused
from apps.common.local_pipeline import AnyPipeline, LocalPipeline
from apps.common.model import Model
from apps.common.registry import Version
from apps.common.sql_text import quoted
from apps.trainer.cleaning import LABEL, input_columns
from apps.trainer.comparison import Comparison, Values, compare
from apps.trainer.found_batch import TrainingContext
from apps.trainer.golden import golden_problems
from apps.trainer.train_set import FOLD, ROWS_SHA256, TEST_FOLD, rows_sha256

SPENT = "gate_spent"  # metric of a version's run
MOST_ROWS = 20_000  # test rows that are compared: more would narrow the interval by little
_MOST_TEXT = 1000  # characters of a reason: MLflow takes a tag of some thousands


@dataclass(frozen=True)
class Ruling:
    """
    Why a version must not become champion, empty when it may; what it was held against; the figures for MLflow.

    ``rows`` are the label, the candidate's prediction and the reference's of each row that was compared.
    """

    reason: str
    against: str
    metrics: Mapping[str, float] = field(default_factory=dict)
    rows: Values | None = None


class _NotComparable(Exception):
    """Why there is no champion to compare a version with."""


def judge(context: TrainingContext, version: Version, champion: Version | None) -> Ruling:
    """
    Judge a registered version, whose train set has its number, beside the champion that it would follow.

    Loaded anew it must answer its golden rows as the training did, and on the champion's test rows its error must not
    be larger than the champion's by more than what versions before it have left of ``gate_margin``; a version that a
    person made champion has all of it left. Where there is no champion to compare it with, it is
    held against the mean of its own test rows. Raises Unavailable when something cannot be had now.
    """
    with ThreadPoolExecutor(1) as pool:  # each waits for MLflow and Spark most of the time
        beside = pool.submit(_champion, context, champion)
        try:
            candidate = _proven(context, version)
        except ModelRefused as error:
            return Ruling(str(error)[:_MOST_TEXT], "its golden rows")
    try:
        against, reference, rows = beside.result()
        spent = _spent(context, champion)
    except _NotComparable as why:
        against, reference, spent = f"the mean of its own test rows, because {why}", None, 0.0
        try:
            rows = _test_rows(context, version)
        except _NotComparable as also:
            return Ruling("", f"nothing, because {why}, and {also}")
    return _judged(context, version, against, _predictions(rows, candidate, reference), spent)


def _champion(context: TrainingContext, champion: Version | None) -> tuple[str, AnyPipeline, DataFrame]:
    """What the champion is called, its pipeline and its test rows; raise _NotComparable with the reason."""
    if champion is None:
        raise _NotComparable("there is no champion")
    name = f"version {champion.version}"
    try:
        pipeline, files = _load(context, champion)
    except ModelRefused as error:
        raise _NotComparable(f"{name}, the champion, cannot be loaded: {error}") from error
    if files.contract.get(ROWS_SHA256) != rows_sha256(context.dataset):
        raise _NotComparable(f"{name}, the champion, was trained on rows of another declaration")
    return name, pipeline, _test_rows(context, champion)


def _proven(context: TrainingContext, version: Version) -> AnyPipeline:
    """The pipeline of a version that answers its golden rows as they say; raise ModelRefused for any other."""
    pipeline, files = _load(context, version)
    if problems := golden_problems(context.session.result(), context.dataset, pipeline, files.golden):
        message = f"version {version.version} must predict, loaded anew, what it did in training"
        raise ModelRefused(f"{message}; {'; '.join(problems)}; train it again")
    return pipeline


def _load(context: TrainingContext, version: Version) -> tuple[AnyPipeline, Model]:
    """A version's pipeline from its registered files, checked as the server checks them; raise ModelRefused."""
    spark = context.session.result()
    folder = Path(tempfile.mkdtemp(prefix=f"version-{version.version}-", dir=context.settings.scratch))
    files = model.fetch(context.settings.mlflow, version.target, folder)
    files.require_computing(spark)
    if not files.local_pipeline:
        raise ModelRefused(f"version {version.version} must have its local format; it has none; train it again")
    return LocalPipeline(spark, files.local_pipeline), files


def _test_rows(context: TrainingContext, version: Version) -> DataFrame:
    """The test rows that a version's train set has: the raw cells and the label; raise _NotComparable without one."""
    store = context.store
    folder = store.folder("train-sets", version.version)
    if not store.exists(f"{folder}/_SUCCESS"):
        raise _NotComparable(f"the train set of version {version.version} is not in HDFS")
    rows = context.session.result().read.parquet(store.url(folder))
    wanted = [*input_columns(context.dataset), LABEL]
    if missing := [name for name in (*wanted, FOLD) if name not in rows.columns]:
        raise _NotComparable(f"the train set of version {version.version} has no column {missing[0]}")
    cells = [F.col(quoted(name)) for name in wanted]
    return rows.where(F.col(FOLD) == TEST_FOLD).select(*cells).orderBy(F.xxhash64(*cells)).limit(MOST_ROWS)


def _predictions(rows: DataFrame, candidate: AnyPipeline, reference: AnyPipeline | None) -> Values:
    """The labels, the candidate's predictions and those of the reference, or the labels' mean; NaN is no prediction."""
    rows = rows.persist()  # in one order for both; one plan of two pipelines is more than Spark compiles
    try:
        found = [_answers(pipeline, rows) for pipeline in (candidate, reference) if pipeline]
    finally:
        rows.unpersist()
    labels, predictions = found[0]
    return np.array([labels, predictions, found[-1][1] if reference else np.full_like(labels, labels.mean())])


def _answers(pipeline: AnyPipeline, rows: DataFrame) -> Values:
    """The labels, and the predictions for them."""
    answered = pipeline.transform(rows).select(LABEL, "prediction").collect()
    return np.array([[np.nan if cell is None else cell for cell in row] for row in answered], dtype=float).T


def _spent(context: TrainingContext, champion: Version | None) -> float:
    """How much of the margin the champion used up, and those that it followed."""
    if champion is None or champion.withheld:
        return 0.0
    return registry.metrics(context.settings.mlflow, champion.run_id).get(SPENT, 0.0)


def _judged(context: TrainingContext, version: Version, against: str, figures: Values, spent: float) -> Ruling:
    labels, candidate, reference = figures
    if lost := int((~np.isfinite(candidate)).sum()):
        return Ruling(f"it must predict a number for each of {len(labels)} test rows; got none for {lost}", against)
    found = compare(context.dataset.task, labels, candidate, reference)
    margin = context.settings.gate_margin
    metrics = {**found.metrics(), SPENT: found.spends(spent, margin)}
    return Ruling(_excess(found, margin, spent, version, against), f"{against}; {found.words()}", metrics, figures)


def _excess(found: Comparison, margin: float, spent: float, version: Version, against: str) -> str:
    """By how much too much the version is worse, as a sentence; empty when it is not."""
    if not found.exceeds(margin - spent):
        return ""
    rule = f"its {found.metric} must be at most {100 * (margin - spent):.3g}% above that of {against}"
    rule += f", since the versions before used up {100 * spent:.3g} of the {100 * margin:g}%" if spent else ""
    mend = f"is something wrong with the batch? if not, ./baton promote {version.version}"
    return f"{rule}; got {found.words()}; {mend}"
