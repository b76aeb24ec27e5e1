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


def _own(name: str) -> Column:
    return F.col(OWN + name)


def _when(condition: Column, text: str | Column) -> Column:
    return F.when(condition, F.lit(text) if isinstance(text, str) else text)


def read_fields(records: DataFrame, input_columns: Sequence[str]) -> DataFrame:
    """Each record's raw fields as string columns, beside its key, place and size; NULL where nothing can be read."""
    size = F.length("value")
    text = F.when(size <= MAX_VALUE_BYTES, F.col("value").cast("string"))
    parsed = records.select(
        F.when(F.length("key") <= MAX_KEY_BYTES, F.col("key").cast("string")).alias(f"{OWN}key"),
        F.col("partition").alias(f"{OWN}partition"),
        F.col("offset").alias(f"{OWN}offset"),
        size.alias(f"{OWN}size"),
        F.from_json(text, "map<string,string>").alias(f"{OWN}fields"),
    )
    return parsed.select("*", *(_own("fields").getItem(name).alias(name) for name in input_columns))


def answers(
    records: DataFrame, pipeline: PipelineModel, input_columns: Sequence[str], version: str, release: int
) -> DataFrame:
    """
    ``records`` (key, value: binary; partition: int; offset: long) -> key, value, headers, partition of their answers.

    The answer stands in the partition of its request, so that the topic shows what was answered.
    """
    scored = pipeline.transform(read_fields(records, input_columns))
    problems = F.concat_ws(
        "; ",
        _when(_own("key").isNull(), f"key must be the request id of at most {MAX_KEY_BYTES} bytes; send one"),
        _when(_own("size").isNull(), "value must be a JSON object; got nothing"),
        _when(
            _own("size") > MAX_VALUE_BYTES,
            F.concat(F.lit(f"value must have at most {MAX_VALUE_BYTES} bytes; got "), _own("size").cast("string")),
        ),
        _when(
            (_own("size") <= MAX_VALUE_BYTES) & _own("fields").isNull(),
            "value must be a JSON object of raw fields; got something else",
        ),
        F.when(_own("fields").isNotNull(), F.col("rejection")),
    )
    finite = F.col("prediction").isNotNull() & (F.abs("prediction") < float("inf"))
    rejection = F.when(problems != "", problems).when(~F.coalesce(finite, F.lit(False)), "no finite prediction")
    judged = scored.select(
        F.coalesce(
            _own("key"), F.concat_ws("-", _own("partition").cast("string"), _own("offset").cast("string"))
        ).alias("request_id"),
        _own("partition").alias("partition"),
        _own("offset").alias("offset"),
        F.col("prediction"),
        rejection.alias("rejection"),
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


def _header(name: str, text: Column) -> Column:
    return F.struct(F.lit(name).alias("key"), text.cast("binary").alias("value"))
