"""
What each version predicts for every request in the topic, computed by a batch job: the checker's second opinion.

The same functions as the server's, without its stream: an answer that differs was lost, mixed up or made by another
version than it says.
"""

import json
import sys
from collections.abc import Iterator

from pyspark.ml import PipelineModel
from pyspark.sql import DataFrame, SparkSession

from apps.common.errors import BatonError
from apps.common.logs import configure
from apps.common.messages import REQUESTS, decode_answer
from apps.common.settings import load
from apps.prediction_server import pipeline, session
from apps.prediction_server.answers import answers
from apps.prediction_server.model import Model, fetch
from apps.prediction_server.settings import RescoreSettings


def all_requests(spark: SparkSession, brokers: str) -> DataFrame:
    """Every request that is in the topic now, read once."""
    options = {
        "kafka.bootstrap.servers": brokers,
        "subscribe": REQUESTS,
        "startingOffsets": "earliest",
        "endingOffsets": "latest",
    }
    records = spark.read.format("kafka").options(**options).load()
    return records.select("key", "value", "partition", "offset").cache()


def expected(records: DataFrame, loaded: PipelineModel, model: Model) -> Iterator[dict[str, object]]:
    """What the version says to each record."""
    answered = answers(records, loaded, model.input_columns, model.version, 0)
    for row in answered.toLocalIterator(prefetchPartitions=True):  # all at once, one on each core
        headers = [(header["key"], bytes(header["value"])) for header in row["headers"]]
        answer = decode_answer(bytes(row["key"]), bytes(row["value"]), headers, 0.0)
        if answer is None:
            raise AssertionError(row)
        yield {
            "model_version": answer.model_version,
            "in_partition": answer.in_partition,
            "in_offset": answer.in_offset,
            "prediction": answer.prediction,
            "rejection": answer.rejection,
        }


def rescore(settings: RescoreSettings) -> None:
    """Write one JSON line per version and request."""
    spark = session.start(settings, "rescore")
    records = all_requests(spark, settings.kafka)
    with settings.out.open("w") as out:
        for version in settings.versions.split(","):
            folder = settings.scratch / f"version-{version}"
            model = fetch(settings.mlflow, settings.dataset, version, folder)
            for line in expected(records, pipeline.load(spark, model), model):
                out.write(json.dumps(line) + "\n")
    spark.stop()


def main() -> int:
    """0 when the file is whole."""
    log = configure("rescore")
    try:
        rescore(load(RescoreSettings))
    except BatonError as error:
        log.error("the requests were not rescored", reason=str(error))  # noqa: TRY400 - its text says it all
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
