"""
The streaming query, and what each of its batches does: add up, keep, tell.

A batch that is run again, after a kill, brings the same rows and is not added again.
"""

import time
from dataclasses import dataclass

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812 - the name everyone knows it by
from pyspark.sql.streaming import StreamingQuery

from apps.datasets.declaration import Dataset
from apps.live_metrics import join
from apps.live_metrics.kept import Kept
from apps.live_metrics.publish import Publisher
from apps.live_metrics.roll_back import Guard
from apps.live_metrics.settings import LiveMetricsSettings
from apps.live_metrics.windows import Windows


@dataclass
class Intake:
    """What happens to each batch of rows."""

    settings: LiveMetricsSettings
    kept: Kept[Windows]
    windows: Windows
    publisher: Publisher
    guard: Guard
    rows: int = 0  # answers and outcomes that were taken in; this and the next are read by another thread
    seconds: float = 0.0  # that the last batch took

    def take(self, rows: DataFrame, batch: int) -> None:
        """Add them up, once; keep that; tell what has changed."""
        began = time.monotonic()
        added = [F.sum(name).alias(name) for name in (*join.COUNTS, *join.SUMS, "latency_ms")]
        in_buckets = rows.groupBy("version", "window", "bucket").agg(*added, F.max("latency_ms").alias("worst"))
        filled = F.collect_list(F.when(F.col("bucket").isNotNull(), F.struct("bucket", "labelled")))
        summed = in_buckets.groupBy("version", "window").agg(
            *added, F.max("worst").alias("worst_latency_ms"), F.map_from_entries(filled).alias("buckets")
        )
        summed = summed.fillna(0, ["latency_ms", "worst_latency_ms"])
        sums = [row.asDict() for row in summed.collect()]
        if self.windows.add(batch, sums):
            self.rows += sum(row["answers"] + row["outcomes"] for row in sums)
            self.kept.keep(self.windows)
        self.publisher.publish(self.windows)
        self.guard.see(self.windows)
        self._forget_what_is_final()  # once it was told: what came after a long time may be final at once
        self.seconds = time.monotonic() - began

    def _forget_what_is_final(self) -> None:
        if self.windows.sums:
            newest = max(start for _, start in self.windows.sums)
            self.windows.forget(newest - 2 * (self.settings.outcome_wait_s + join.EARLY_S) - self.settings.window_s)


def start(spark: SparkSession, settings: LiveMetricsSettings, dataset: Dataset, intake: Intake) -> StreamingQuery:
    """Start the query where it was left."""
    # Where nothing was read yet: what is older could not be told any more, and would all be read at once.
    since = time.time() - settings.outcome_wait_s - join.EARLY_S

    def topic(name: str, *, headers: bool) -> DataFrame:
        options = {
            **settings.kafka_access.spark(),
            "subscribe": name,
            "startingTimestamp": str(int(1000 * since)),
            "startingOffsetsByTimestampStrategy": "latest",
            "includeHeaders": str(headers).lower(),
            "groupIdPrefix": f"{settings.stack}.live-metrics",
            "failOnDataLoss": "true",
            "kafka.isolation.level": "read_committed",
        }
        return spark.readStream.format("kafka").options(**options).load()

    names = settings.names
    rows = join.rows(
        topic(names.answers, headers=True),
        topic(names.outcomes, headers=False),
        dataset,
        names.model,
        settings.window_s,
        settings.outcome_wait_s,
    )
    writer = rows.writeStream.foreachBatch(intake.take).queryName("live-metrics").outputMode("append")
    writer = writer.option("checkpointLocation", intake.kept.checkpoint)
    return writer.trigger(processingTime=f"{settings.metrics_period_s} seconds").start()
