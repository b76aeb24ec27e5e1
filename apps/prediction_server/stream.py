"""The streaming query: requests from the start that the answers topic gives, answers to Kafka, for ever."""

import json
from collections.abc import Mapping

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.streaming import StreamingQuery

from apps.common import spark_paths
from apps.common.errors import SettingsError
from apps.common.settings import option
from apps.prediction_server.settings import ServerSettings

FOR_EVER_MS = str(2**31 - 1)
RECONNECT = {"kafka.reconnect.backoff.ms": "50", "kafka.reconnect.backoff.max.ms": "1000"}
MICRO_BATCH = {"maxOffsetsPerTrigger": "10000"}


def requests(spark: SparkSession, settings: ServerSettings, offsets: Mapping[int, int]) -> DataFrame:
    """The stream of requests, each partition from its offset; a gap fails the query instead of being passed over."""
    slots = spark.sparkContext.defaultParallelism
    if slots < len(offsets):
        master = option("spark_master", f"local[{len(offsets)}]")
        raise SettingsError(
            f"BATON_SPARK_MASTER must have a slot for each of the {len(offsets)} partitions; got {slots}; "
            f"run ./baton down, then ./baton up as before with {master}"
        )
    topic = settings.names.requests
    options = {
        **settings.kafka_access.spark(),
        "assign": json.dumps({topic: sorted(offsets)}),
        "startingOffsets": json.dumps({topic: {str(partition): offset for partition, offset in offsets.items()}}),
        "groupIdPrefix": f"{settings.stack}.prediction-server",
        "failOnDataLoss": "true",
        "kafka.isolation.level": "read_committed",  # nobody acknowledged what a transaction has taken back
        **(MICRO_BATCH if settings.trigger == "micro-batch" else {}),
        **RECONNECT,
    }
    return spark.readStream.format("kafka").options(**options).load()


def write(answers: DataFrame, settings: ServerSettings) -> StreamingQuery:
    """
    Start the query.

    The producer is idempotent and never gives up, so one writer's answers are a prefix of its requests in order. The
    checkpoint is thrown away with the process: the answers topic is the progress record.
    """
    options = {
        **settings.kafka_access.spark(),
        "topic": settings.names.answers,
        "includeHeaders": "true",
        "checkpointLocation": spark_paths.url(settings.scratch / "checkpoint"),
        "kafka.acks": "all",
        "kafka.enable.idempotence": "true",
        "kafka.linger.ms": "0",
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
