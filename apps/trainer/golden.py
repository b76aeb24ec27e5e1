"""
Golden rows: requests stored with the model and what it answers them, so that a server can prove what it loaded.

Some are test rows as they came; the rest are the same rows spoilt, since a rejection must survive the journey too.
"""

from collections.abc import Sequence
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812 - the name everyone knows it by

from apps.common.local_pipeline import AnyPipeline
from apps.common.messages import MAX_TEXT
from apps.common.model import same
from apps.common.sql_text import quoted
from apps.datasets.declaration import Dataset
from apps.trainer.cleaning import input_columns
from apps.trainer.train_set import FOLD, TEST_FOLD

_AS_THEY_CAME = 14
_SHOWN = 3
Fields = dict[str, str | None]


def golden(spark: SparkSession, dataset: Dataset, rows: DataFrame, pipeline: AnyPipeline) -> list[dict[str, Any]]:
    """Requests with the prediction or the rejection that ``pipeline`` gives."""
    requests = _requests(dataset, _sample(rows, input_columns(dataset)))
    return [
        {"fields": {name: value for name, value in fields.items() if value is not None}, **answer}
        for fields, answer in zip(requests, _answers(spark, requests, input_columns(dataset), pipeline), strict=True)
    ]


def golden_problems(spark: SparkSession, dataset: Dataset, pipeline: AnyPipeline, rows: list[Any]) -> list[str]:
    """The first golden rows that ``pipeline`` answers otherwise than they say, as sentences."""
    found = _answers(spark, [row["fields"] for row in rows], input_columns(dataset), pipeline)
    problems = [
        f"golden row {place} must give {row['prediction']!r} or {row['rejection']!r}; got {answer}"
        for place, (row, answer) in enumerate(zip(rows, found, strict=True))
        if not same(row, answer)
    ]
    return problems[:_SHOWN]


def _answers(
    spark: SparkSession, requests: Sequence[Fields], columns: tuple[str, ...], pipeline: AnyPipeline
) -> list[dict[str, Any]]:
    """``prediction`` and ``rejection`` of each request."""
    frame = spark.createDataFrame(
        [(place, *(fields.get(name) for name in columns)) for place, fields in enumerate(requests)],
        f"_place INT, {', '.join(f'{quoted(name)} STRING' for name in columns)}",
    ).coalesce(1)
    answers = {row["_place"]: row for row in pipeline.transform(frame).collect()}
    return [{name: answers[place][name] for name in ("prediction", "rejection")} for place in range(len(requests))]


def _sample(rows: DataFrame, columns: tuple[str, ...]) -> list[Fields]:
    """The first test rows in an order that depends on nothing but their content."""
    cells = [F.col(quoted(name)) for name in columns]
    chosen = rows.where(F.col(FOLD) == TEST_FOLD).select(*cells).orderBy(F.xxhash64(*cells)).limit(_AS_THEY_CAME)
    return [row.asDict() for row in chosen.collect()]


def _requests(dataset: Dataset, sample: list[Fields]) -> list[Fields]:
    """The sample; then one row with an unknown word in each category, one with junk for each number, two too long."""
    first = sample[0]
    inputs = [dataset.column(name) for name in input_columns(dataset)]
    strange: Fields = {c.name: "never seen before" for c in inputs if c.kind == "category"}
    junk: list[Fields] = [{**first, c.name: "junk"} for c in inputs if c.kind in ("number", "flag")]
    long: list[Fields] = [{**first, c.name: "1" * (MAX_TEXT + 1)} for c in inputs]
    return [*sample, {**first, **strange}, *junk, *long[:2]]
