"""
The streaming query: requests from the start that the answers topic gives, answers to Kafka, for ever.

Planning it takes seconds, and where it starts is known last; so the plan does not say where, and a checkpoint does.
"""

import json
import uuid
from collections.abc import Collection, Mapping
from pathlib import Path

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.streaming import StreamingQuery

from apps.common import spark_paths
from apps.common.errors import SettingsError
from apps.common.settings import option
from apps.prediction_server.settings import ServerSettings

FOR_EVER_MS = str(2**31 - 1)
# While one request is on its way the next answers wait for it together: few at a time where the rate is low, and many
# where it is high, with nothing that waits by the clock.
BATCHES = {"kafka.linger.ms": "0", "kafka.max.in.flight.requests.per.connection": "1"}
RECONNECT = {"kafka.reconnect.backoff.ms": "50", "kafka.reconnect.backoff.max.ms": "1000"}
MICRO_BATCH = {"maxOffsetsPerTrigger": "10000"}


def requests(spark: SparkSession, settings: ServerSettings, partitions: Collection[int]) -> DataFrame:
    """The stream of requests of these partitions; a gap fails the query instead of being passed over."""
    slots = spark.sparkContext.defaultParallelism
    if slots < len(partitions):
        raise SettingsError(
            f"Spark must have a slot for each of the {len(partitions)} partitions; got {slots}; "
            f"give it more executors, or leave {option('spark_master', 'local[...]')} away"
        )
    options = {
        **settings.kafka_access.spark(),
        "assign": json.dumps({settings.names.requests: sorted(partitions)}),
        "startingOffsets": "earliest",  # were the checkpoint not heeded, requests would be answered twice and none lost
        "groupIdPrefix": f"{settings.stack}.prediction-server",
        "failOnDataLoss": "true",
        "kafka.isolation.level": "read_committed",  # nobody acknowledged what a transaction has taken back
        **(MICRO_BATCH if settings.trigger == "micro-batch" else {}),
        **RECONNECT,
    }
    return spark.readStream.format("kafka").options(**options).load()


def start(answers: DataFrame, settings: ServerSettings, offsets: Mapping[int, int]) -> StreamingQuery:
    """
    Start the query, each partition at its offset.

    The producer is idempotent and never gives up, so one writer's answers are a prefix of its requests in order. The
    checkpoint is thrown away with the process: the answers topic is the progress record.
    """
    checkpoint = settings.scratch / "checkpoint"
    _write_checkpoint(checkpoint, {settings.names.requests: offsets})
    options = {
        **settings.kafka_access.spark(),
        "topic": settings.names.answers,
        "includeHeaders": "true",
        "checkpointLocation": spark_paths.url(checkpoint),
        "kafka.acks": "all",
        "kafka.enable.idempotence": "true",
        **BATCHES,
        "kafka.delivery.timeout.ms": FOR_EVER_MS,
        "kafka.max.block.ms": FOR_EVER_MS,
        **RECONNECT,
    }
    writer = answers.writeStream.format("kafka").options(**options).queryName("prediction-server")
    if settings.trigger == "real-time":
        return writer.outputMode("update").trigger(realTime=settings.trigger_interval).start()
    # A checkpoint that nobody will read need not be waited for.
    quick = writer.option("asyncProgressTrackingEnabled", "true")
    return quick.outputMode("append").trigger(processingTime="0 seconds").start()


def _write_checkpoint(folder: Path, ended: Mapping[str, Mapping[int, int]]) -> None:
    """Write what a query leaves behind whose first batch ended at these offsets (topic -> partition -> offset)."""
    first = {"batchWatermarkMs": 0, "batchTimestampMs": 0, "conf": {}}
    for name, text in {
        "metadata": json.dumps({"id": str(uuid.uuid4())}),
        "offsets/0": f"v1\n{json.dumps(first)}\n{json.dumps(ended)}",
        "commits/0": f"v1\n{json.dumps({'nextBatchWatermarkMs': 0})}",
    }.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
