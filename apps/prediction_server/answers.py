"""
Kafka records in, one answer for each of them out: a pure function of DataFrames, the same in stream and batch.

Only native expressions, because real-time mode runs no Python; and none that can throw or drop a row, because every
request is owed an answer.
"""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F  # noqa: N812 - the name everyone knows it by

from apps.common.local_pipeline import AnyPipeline
from apps.common.messages import IN_OFFSET, IN_PARTITION, IN_TIMESTAMP, MODEL_VERSION, RELEASE, UNDECLARED, Writer
from apps.common.model import RequestFields
from apps.prediction_server.request_fields import own, read_fields

MAX_REJECTION = 4000  # characters; an answer is always small, whatever a model says


def answers(records: DataFrame, pipeline: AnyPipeline, fields: RequestFields, writer: Writer) -> DataFrame:
    """
    ``records``, as ``read_fields`` takes them -> key, value, headers, partition of their answers.

    The answer stands in the partition of its request, so that the topic shows what was answered.
    """
    scored = pipeline.transform(read_fields(records, fields))
    place = F.concat_ws("-", own("partition").cast("string"), own("offset").cast("string"))
    judged = scored.select(
        F.coalesce(own("key"), place).alias("request_id"),
        own("partition").alias("partition"),
        own("offset").alias("offset"),
        own("timestamp").alias("timestamp"),
        own("undeclared").alias(UNDECLARED),
        F.col("prediction").cast("double").alias("prediction"),
        _rejection().alias("rejection"),
    )
    body = F.struct(
        "request_id",
        F.when(F.col("rejection").isNull(), F.col("prediction")).alias("prediction"),
        "rejection",
        UNDECLARED,
        F.lit(writer.version).alias(MODEL_VERSION),
        F.lit(writer.release).alias(RELEASE),
    )
    return judged.select(
        F.col("request_id").cast("binary").alias("key"),
        F.to_json(body, {"ignoreNullFields": "false"}).cast("binary").alias("value"),
        F.array(
            _header(IN_PARTITION, F.col("partition").cast("string")),
            _header(IN_OFFSET, F.col("offset").cast("string")),
            _header(IN_TIMESTAMP, F.unix_millis("timestamp").cast("string")),
            *(_header(name, F.lit(text)) for name, text in writer.headers().items()),
        ).alias("headers"),
        "partition",
    )


def _rejection() -> Column:
    """All problems of a request, the model's too; NULL when it has a finite prediction."""
    problems = F.concat_ws("; ", F.nullif(own("problems"), F.lit("")), F.when(own("read"), F.col("rejection")))
    finite = F.coalesce(F.abs("prediction") < float("inf"), F.lit(False))  # NaN counts as the largest number
    given = F.coalesce(F.col("prediction").cast("string"), F.lit("nothing"))
    no_number = F.concat(F.lit("prediction must be a finite number; got "), given)
    return F.when(problems != "", F.left(problems, F.lit(MAX_REJECTION))).when(~finite, no_number)


def _header(name: str, text: Column) -> Column:
    return F.struct(F.lit(name).alias("key"), text.cast("binary").alias("value"))
