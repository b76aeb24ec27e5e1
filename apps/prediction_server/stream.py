"""The streaming query: requests from the start that the answers topic gives, answers to Kafka, for ever."""

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.streaming import StreamingQuery

from apps.common.messages import ANSWERS, REQUESTS
from apps.prediction_server.settings import ServerSettings
from apps.prediction_server.tail import Start

FOR_EVER_MS = str(2**31 - 1)
RECONNECT = {"kafka.reconnect.backoff.ms": "50", "kafka.reconnect.backoff.max.ms": "1000"}


def requests(spark: SparkSession, brokers: str, start: Start) -> DataFrame:
    """The stream of requests; a gap in the topic fails the query instead of being passed over."""
    partitions = sorted(start.offsets)
    options = {
        "kafka.bootstrap.servers": brokers,
        "assign": f'{{"{REQUESTS}": {partitions}}}',
        "startingOffsets": start.as_json(),
        "failOnDataLoss": "true",
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
        "kafka.bootstrap.servers": settings.kafka,
        "topic": ANSWERS,
        "includeHeaders": "true",
        "checkpointLocation": (settings.scratch / "checkpoint").resolve().as_uri(),
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
    return writer.outputMode("append").trigger(processingTime="0 seconds").start()
