"""The golden rows that the trainer stored with a model: a server that answers them otherwise must not serve."""

import json

from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812 - the name everyone knows it by

from apps.common.errors import ModelRefused
from apps.common.local_pipeline import AnyPipeline
from apps.common.messages import Writer
from apps.common.model import Model, same
from apps.prediction_server.answers import answers

COPIES = 20  # of the rows, so that the first live requests find warm code
SHOWN = 3


def requests(spark: SparkSession, model: Model) -> DataFrame:
    """The golden rows, each ``COPIES`` times in turn, as Kafka records; read by the JVM, so that no Python starts."""
    lines = spark.read.text(model.golden_url).coalesce(1)
    fields = F.get_json_object("value", "$.fields")
    return (
        lines.where(fields != "{}")
        .select(
            F.lit(b"golden").alias("key"),
            fields.cast("binary").alias("value"),
            F.lit(0).alias("partition"),
            F.monotonically_increasing_id().alias("offset"),
            F.timestamp_millis(F.lit(0)).alias("timestamp"),
            F.explode(F.sequence(F.lit(1), F.lit(COPIES))).alias("copy"),
        )
        .drop("copy")
    )


def prove(spark: SparkSession, pipeline: AnyPipeline, model: Model) -> None:
    """Answer the golden rows as if they were requests; raise ModelRefused with the first differences."""
    golden = model.golden
    if not golden:
        raise ModelRefused(f"version {model.version} must have golden rows; got none; train it again")
    rows = [row for row in golden for _ in range(COPIES)]
    records = requests(spark, model)
    try:
        answered = answers(records, pipeline, model.fields, Writer("", model.version)).select("value").collect()
    except AnalysisException as error:
        message = f"version {model.version} must be computed from the columns of its contract for its golden rows"
        raise ModelRefused(f"{message}; Spark says: {str(error).splitlines()[0]}; train it again") from error
    bodies = [json.loads(bytes(row["value"])) for row in answered]
    problems = dict.fromkeys(  # the copies of a row share one problem
        f"golden row {place // COPIES} must give {row['prediction']!r} or {row['rejection']!r}; got {body}"
        for place, (row, body) in enumerate(zip(rows, bodies, strict=True))
        if not same(row, body)
    )
    if problems:
        first = "; ".join(list(problems)[:SHOWN])
        raise ModelRefused(f"version {model.version} must predict what it did in training; {first}; train it again")
