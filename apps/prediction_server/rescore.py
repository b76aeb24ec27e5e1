"""
What each version predicts for every request in the topic, computed by a batch job: what the checker compares with.

The same functions as the server's, without its stream: an answer that differs was lost, mixed up or made by another
version than it says. A fault in these functions is seen by the second opinion, which has its own for a sample.
"""

import sys
from collections.abc import Iterator

from pyspark import StorageLevel
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812 - the name everyone knows it by
from structlog.stdlib import BoundLogger

from apps.common import entry
from apps.common.exit_codes import DONE
from apps.common.kafka_access import KafkaAccess
from apps.common.local_pipeline import AnyPipeline
from apps.common.messages import Expected, Writer, decode_answer
from apps.common.model import Model, fetch
from apps.common.target import Target
from apps.prediction_server import session
from apps.prediction_server.answers import answers
from apps.prediction_server.request_fields import request_id
from apps.prediction_server.second_opinion import Rejections, draw, second_opinions
from apps.prediction_server.settings import RescoreSettings

# Java's reader of what lies on disk holds on to the last hundred batches: of Spark's 10,000 rows each that is a heap.
BATCH_ROWS = 200


def all_requests(spark: SparkSession, access: KafkaAccess, topic: str) -> DataFrame:
    """Every request that is in the topic now, read once."""
    spark.conf.set("spark.sql.inMemoryColumnarStorage.batchSize", BATCH_ROWS)
    options = {
        **access.spark(),
        "subscribe": topic,
        "startingOffsets": "earliest",
        "endingOffsets": "latest",
    }
    records = spark.read.format("kafka").options(**options).load()
    return records.select("key", "value", "partition", "offset", "timestamp").persist(StorageLevel.DISK_ONLY)


def expected(records: DataFrame, loaded: AnyPipeline, model: Model) -> Iterator[Expected]:
    """
    What the version answers to each record; of those that say the same, as a replay's do, one is asked.

    They are found by their digest: a list of positions beside each whole value would have to fit into memory.
    """
    here = F.struct("partition", "offset")
    groups = records.groupBy(F.sha2("value", 256), request_id().isNotNull())
    alike = groups.agg(F.min(here).alias("one"), F.collect_list(here).alias("all")).select("one.*", "all").cache()
    every = {(row["partition"], row["offset"]): row["all"] for row in alike.toLocalIterator()}
    asked = records.join(F.broadcast(alike.drop("all")), ["partition", "offset"])  # else all values would be sorted
    answered = answers(asked, loaded, model.fields, Writer("", model.version, manifest=model.manifest))
    for row in answered.toLocalIterator(prefetchPartitions=True):  # all at once, one on each core
        headers = [(header["key"], bytes(header["value"])) for header in row["headers"]]
        answer = decode_answer(bytes(row["key"]), bytes(row["value"]), headers, 0.0)
        if answer is None:
            raise AssertionError(row)
        said = answer.prediction, answer.rejection
        for partition, offset in every[answer.position]:
            yield Expected(answer.model_version, partition, offset, *said, manifest=answer.manifest or "")
    alike.unpersist()


def rescore(settings: RescoreSettings, _log: BoundLogger) -> int:
    """Write one JSON line per version and request, and one for each second opinion."""
    spark = session.start(settings, "rescore")
    records = all_requests(spark, settings.kafka_access, settings.names.requests)
    with settings.out.open("w") as out:
        for version in settings.versions.split(","):
            folder = settings.scratch / f"version-{version}"
            target = Target(settings.names.model, version)
            model, rejections = fetch(settings.mlflow, target, folder), Rejections()
            for line in expected(records, session.load_pipeline(spark, model), model):
                rejections.note(line)
                out.write(f"{line.to_json()}\n")
            for line in second_opinions(spark, draw(records, rejections), version, folder, model.manifest):
                out.write(f"{line.to_json()}\n")
    spark.stop()
    return DONE


def main() -> int:
    """Return DONE when the file is whole."""
    return entry.run("rescore", RescoreSettings, rescore, failed="the requests were not rescored")


if __name__ == "__main__":
    sys.exit(main())
