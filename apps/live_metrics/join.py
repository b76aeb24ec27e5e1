"""
Answers and outcomes as Kafka has them -> one row for each answer, and one for each answer whose outcome is known.

Of a request the first answer counts, and of its outcomes the first. Both topics carry the broker's clock.
"""

import math
from collections.abc import Sequence
from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F  # noqa: N812 - the name everyone knows it by

from apps.common.messages import CACHED, IN_OFFSET, IN_PARTITION, IN_TIMESTAMP, MODEL, MODEL_VERSION
from apps.datasets.declaration import MOST, Dataset
from apps.live_metrics.windows import BINS, ODDS, SMALLEST, STEP

EARLY_S = 600  # how long before its answer an outcome may come
NOWHERE = -1  # the partition and the time of a request that no server was asked
CERTAIN = 1e-15  # a probability of exactly 0 or 1 that is wrong would cost an infinite log loss

# What people call the two fields of an outcome: Baton, Arize, SageMaker, NannyML.
IDS = ("request_id", "prediction_id", "eventMetadata.inferenceId", "eventMetadata.eventId")
VALUES = ("outcome", "actual", "actual_score", "actual_label", "y_true", "groundTruthData.data")
_OUTCOME = (
    "request_id STRING, prediction_id STRING, eventMetadata STRUCT<inferenceId: STRING, eventId: STRING>, "
    "outcome STRING, actual STRING, actual_score STRING, actual_label STRING, y_true STRING, "
    "groundTruthData STRUCT<data: STRING>"
)
_ANSWER = "prediction DOUBLE, rejection STRING"
COUNTS = ("answers", "rejections", "labelled", "outcomes", "unreadable")
SUMS = ("error", "absolute", "square", "fourth", "relative", "positive", "log_loss", "hit")


def rows(
    answers: DataFrame, outcomes: DataFrame, dataset: Dataset, model: str, window_s: int, wait_s: int
) -> DataFrame:
    """
    ``answers`` and ``outcomes`` (key, value, headers, timestamp of a topic) -> what is to be summed up.

    Columns: version; window (long: seconds since 1970 at which it begins, by when the answer was written); COUNTS (int:
    0 or 1 each); latency_ms (long); SUMS (double); bucket (int: where a known error, or the class and the probability,
    falls).
    """
    horizon = f"{wait_s + EARLY_S} seconds"
    read = _read_outcomes(outcomes, *dataset.target_bounds)
    first = (
        read_answers(answers, model)
        .withColumn("window", F.floor(F.unix_millis("answered_at") / (1000 * window_s)) * window_s)
        .withWatermark("answered_at", horizon)
        .dropDuplicatesWithinWatermark(["in_partition", "in_offset", "in_timestamp"])
    )
    known = (
        read.where("outcome IS NOT NULL")
        .withWatermark("observed_at", horizon)
        .dropDuplicatesWithinWatermark(["outcome_of"])
    )
    in_time = F.expr(
        f"observed_at BETWEEN answered_at - INTERVAL {EARLY_S} SECONDS AND answered_at + INTERVAL {wait_s} SECONDS"
    )
    predicted = first.where("prediction IS NOT NULL")
    pairs = predicted.join(known, (F.col("request_id") == F.col("outcome_of")) & in_time)
    counted = [
        first.select("version", "window", *_counts(answers=F.lit(1), rejections=_flag("prediction IS NULL")), *_sums()),
        pairs.select("version", "window", *_counts(labelled=F.lit(1)), *_sums(dataset.task)),
        read.select(
            F.lit("").alias("version"),
            F.lit(0).cast("long").alias("window"),
            *_counts(outcomes=F.lit(1), unreadable=_flag("outcome IS NULL")),
            *_sums(),
        ),
    ]
    return reduce(DataFrame.unionByName, counted)


def read_answers(records: DataFrame, model: str) -> DataFrame:
    """
    Those that this model's servers wrote; a record of somebody else's has not our headers.

    One out of a gateway's cache answers no position: it is known by its request's id, as if that were its offset in a
    partition before the first.
    """

    def header(name: str) -> Column:
        # Compiled; a lambda would be interpreted, header by header.
        place = F.array_position(F.col("headers.key"), name)
        return F.get("headers", (place - 1).cast("int"))["value"].cast("string")

    def placed(name: str, instead: Column) -> Column:
        return F.coalesce(header(name), F.when(header(CACHED).isNotNull(), instead).cast("string"))

    body = F.from_json(F.col("value").cast("string"), _ANSWER)
    read = records.select(
        F.col("key").cast("string").alias("request_id"),
        header(MODEL).alias("model"),
        header(MODEL_VERSION).alias("version"),
        placed(IN_PARTITION, F.lit(NOWHERE)).cast("int").alias("in_partition"),
        placed(IN_OFFSET, F.xxhash64("key")).cast("long").alias("in_offset"),
        placed(IN_TIMESTAMP, F.lit(NOWHERE)).cast("long").alias("in_timestamp"),
        F.when(body["prediction"].between(-MOST, MOST), body["prediction"]).alias("prediction"),
        body["rejection"].alias("rejection"),
        F.col("timestamp").alias("answered_at"),
    )
    return read.where(F.col("model") == model).where(
        "version IS NOT NULL AND in_partition IS NOT NULL AND in_offset IS NOT NULL AND in_timestamp IS NOT NULL "
        "AND (prediction IS NOT NULL OR rejection IS NOT NULL)"
    )


def _read_outcomes(records: DataFrame, low: float, high: float) -> DataFrame:
    """Whose outcome it is, what it was (NULL where that is no number, or is not believed), when the broker had it."""
    body = F.from_json(F.col("value").cast("string"), _OUTCOME)
    told = records.select("key", "timestamp", body.alias("body"))

    def first_of(names: Sequence[str], *others: Column) -> Column:
        return F.coalesce(*(F.col(f"body.{name}") for name in names), *others)

    value = F.trim(first_of(VALUES)).try_cast("double")
    return told.select(
        first_of(IDS, F.col("key").cast("string")).alias("outcome_of"),
        F.when(value.between(low, high), value).alias("outcome"),
        F.col("timestamp").alias("observed_at"),
    )


def _flag(condition: str) -> Column:
    return F.expr(condition).cast("int")


def _counts(**counted: Column) -> list[Column]:
    latency = F.lit(None).cast("long")
    if "answers" in counted:
        took = F.greatest(F.unix_millis("answered_at") - F.col("in_timestamp"), F.lit(0))
        latency = F.when(F.col("in_timestamp") != NOWHERE, took)
    return [*(counted.get(name, F.lit(0)).alias(name) for name in COUNTS), latency.alias("latency_ms")]


def _sums(task: str = "") -> list[Column]:
    """What an answer and its outcome add to each of SUMS, and their bucket; nothing without an outcome."""
    if not task:
        return [*(F.lit(0.0).alias(name) for name in SUMS), F.lit(None).cast("int").alias("bucket")]
    error, actual = F.col("prediction") - F.col("outcome"), F.col("outcome")
    sure = F.greatest(F.least(F.col("prediction"), F.lit(1 - CERTAIN)), F.lit(CERTAIN))
    binary = task == "binary"
    added = {
        "error": error,
        "absolute": F.abs(error),
        "square": error * error,
        "fourth": F.pow(error, 4.0),
        "relative": F.when(actual > 0, F.abs(error) / actual).otherwise(0.0),
        "positive": (actual > 0).cast("double"),
        "log_loss": F.when(actual == 1, -F.log(sure)).otherwise(-F.log(1 - sure)) if binary else F.lit(0.0),
        "hit": ((F.col("prediction") >= 0.5) == (actual == 1)).cast("double") if binary else F.lit(0.0),  # noqa: PLR2004 - as likely as not
    }
    if binary:
        odds = F.greatest(F.least(F.log(sure / (1 - sure)), F.lit(ODDS)), F.lit(-ODDS))
        bucket = F.floor((odds + ODDS) * BINS / (2 * ODDS)) + F.when(actual == 1, BINS + 1).otherwise(0)
    else:
        bucket = F.ceil(F.log(F.greatest(F.abs(error), F.lit(SMALLEST))) / math.log(STEP))
    return [*(added[name].alias(name) for name in SUMS), bucket.cast("int").alias("bucket")]
