"""
Kafka records in, one answer for each of them out: a pure function of DataFrames, the same in stream and batch.

Only native expressions, because real-time mode runs no Python; and none that can throw or drop a row, because every
request is owed an answer.
"""

from collections.abc import Sequence

from pyspark.ml import PipelineModel
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F  # noqa: N812 - the name everyone knows it by

from apps.common.messages import IN_OFFSET, IN_PARTITION, MAX_VALUE_BYTES, MODEL_VERSION, RELEASE

OWN = "_k_"  # our columns beside the raw ones, which may have any other name
MAX_KEY_BYTES = 256
MAX_REJECTION = 4000  # characters; an answer is always small, whatever a model says
NOT_JSON = "value must be a JSON object of raw fields in UTF-8; got something else"


def answers(
    records: DataFrame, pipeline: PipelineModel, input_columns: Sequence[str], version: str, release: int
) -> DataFrame:
    """
    ``records`` (key, value: binary; partition: int; offset: long) -> key, value, headers, partition of their answers.

    The answer stands in the partition of its request, so that the topic shows what was answered.
    """
    scored = pipeline.transform(read_fields(records, input_columns))
    place = F.concat_ws("-", _own("partition").cast("string"), _own("offset").cast("string"))
    judged = scored.select(
        F.coalesce(_own("key"), place).alias("request_id"),
        _own("partition").alias("partition"),
        _own("offset").alias("offset"),
        F.col("prediction").cast("double").alias("prediction"),
        _rejection().alias("rejection"),
    )
    body = F.struct(
        "request_id",
        F.when(F.col("rejection").isNull(), F.col("prediction")).alias("prediction"),
        "rejection",
        F.lit(version).alias(MODEL_VERSION),
        F.lit(release).alias(RELEASE),
    )
    return judged.select(
        F.col("request_id").cast("binary").alias("key"),
        F.to_json(body, {"ignoreNullFields": "false"}).cast("binary").alias("value"),
        F.array(
            _header(IN_PARTITION, F.col("partition").cast("string")),
            _header(IN_OFFSET, F.col("offset").cast("string")),
            _header(MODEL_VERSION, F.lit(version)),
            _header(RELEASE, F.lit(str(release))),
        ).alias("headers"),
        "partition",
    )


def read_fields(records: DataFrame, input_columns: Sequence[str]) -> DataFrame:
    """Each record's raw fields as string columns, beside its key, place and size; NULL where nothing can be read."""
    size = F.length("value")
    text = F.when(size <= MAX_VALUE_BYTES, F.try_validate_utf8(F.col("value").cast("string")))
    parsed = records.select(
        F.when(F.length("key").between(1, MAX_KEY_BYTES), F.try_validate_utf8(F.col("key").cast("string"))).alias(
            f"{OWN}key"
        ),
        F.col("partition").alias(f"{OWN}partition"),
        F.col("offset").alias(f"{OWN}offset"),
        size.alias(f"{OWN}size"),
        # In brackets, because the parser stops behind the first object and would not see what else is there.
        F.from_json(F.concat(F.lit("["), text, F.lit("]")), "array<map<string,string>>").alias(f"{OWN}objects"),
    )
    fields = F.when(F.size(_own("objects")) == 1, _own("objects")[0]).alias(f"{OWN}fields")
    single = parsed.select("*", fields).drop(f"{OWN}objects")
    return single.select("*", *(_own("fields").getItem(name).alias(name) for name in input_columns))


def _own(name: str) -> Column:
    return F.col(OWN + name)


def _rejection() -> Column:
    """All problems of a request, the model's too; NULL when it has a finite prediction."""
    size, unread = _own("size"), _own("fields").isNull()
    too_long = F.concat(F.lit(f"value must have at most {MAX_VALUE_BYTES} bytes; got "), size.cast("string"))
    problems = F.concat_ws(
        "; ",
        F.when(_own("key").isNull(), f"key must be a request id of 1-{MAX_KEY_BYTES} bytes of UTF-8; got another"),
        F.when(size.isNull(), "value must be a JSON object of raw fields; got nothing"),
        F.when(size > MAX_VALUE_BYTES, too_long),
        F.when((size <= MAX_VALUE_BYTES) & unread, NOT_JSON),
        F.when(~unread, F.col("rejection")),
    )
    finite = F.coalesce(F.abs("prediction") < float("inf"), F.lit(False))  # NaN counts as the largest number
    given = F.coalesce(F.col("prediction").cast("string"), F.lit("nothing"))
    no_number = F.concat(F.lit("prediction must be a finite number; got "), given)
    return F.when(problems != "", F.left(problems, F.lit(MAX_REJECTION))).when(~finite, no_number)


def _header(name: str, text: Column) -> Column:
    return F.struct(F.lit(name).alias("key"), text.cast("binary").alias("value"))
