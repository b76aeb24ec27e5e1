"""The golden rows that the trainer stored with a model: a server that answers them otherwise must not serve."""

import json
import math
from typing import Any

from pyspark.ml import PipelineModel
from pyspark.sql import SparkSession

from apps.common.errors import ModelRefused
from apps.prediction_server.answers import answers
from apps.prediction_server.model import Model

TOLERANCE = 1e-9
COPIES = 50  # of the rows, so that the first live requests find warm code
SHOWN = 3
RECORD = "key BINARY, value BINARY, partition INT, offset BIGINT"


def same(golden: dict[str, Any], body: dict[str, Any]) -> bool:
    """Whether an answer's body says what the golden row says."""
    if golden["rejection"] is not None or body["rejection"] is not None:
        return bool(golden["rejection"] == body["rejection"])
    return math.isclose(golden["prediction"], body["prediction"], rel_tol=TOLERANCE)


def prove(spark: SparkSession, pipeline: PipelineModel, model: Model) -> None:
    """Answer the golden rows as if they were requests; raise ModelRefused with the first differences."""
    rows = model.golden * COPIES
    if not rows:
        raise ModelRefused(f"version {model.version} must have golden rows; got none; train it again")
    records = [(b"golden", bytearray(json.dumps(row["fields"]).encode()), 0, place) for place, row in enumerate(rows)]
    frame = spark.createDataFrame(records, RECORD).coalesce(1)
    answered = answers(frame, pipeline, model.input_columns, model.version, 0).select("value").collect()
    bodies = [json.loads(bytes(row["value"])) for row in answered]
    problems = [
        f"golden row {place} must give {row['prediction']!r} or {row['rejection']!r}; got {body}"
        for place, (row, body) in enumerate(zip(rows, bodies, strict=True))
        if not same(row, body)
    ]
    if problems:
        found = "; ".join(problems[:SHOWN])
        raise ModelRefused(f"version {model.version} must predict what it did in training; {found}; train it again")
