"""
What each version predicts for every request in the topic, computed by a batch job: the checker's second opinion.

The same functions as the server's, without its stream: an answer that differs was lost, mixed up or made by another
version than it says.
"""

import json
from collections.abc import Iterator
from pathlib import Path

from pyspark.ml import PipelineModel
from pyspark.sql import DataFrame, SparkSession

from apps.common.messages import REQUESTS, decode_answer
from apps.common.settings import load
from apps.prediction_server import model, session
from apps.prediction_server.answers import answers
from apps.prediction_server.settings import RescoreSettings


def all_requests(spark: SparkSession, brokers: str) -> DataFrame:
    """Every request that is in the topic now."""
    options = {
        "kafka.bootstrap.servers": brokers,
        "subscribe": REQUESTS,
        "startingOffsets": "earliest",
        "endingOffsets": "latest",
    }
    return spark.read.format("kafka").options(**options).load()


def expected(records: DataFrame, pipeline: PipelineModel, checked: model.Model) -> Iterator[dict[str, object]]:
    """What the version says to each record."""
    answered = answers(records, pipeline, checked.input_columns, checked.version, 0)
    for row in answered.toLocalIterator():
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


def main() -> None:
    """Write one JSON line per version and request."""
    settings = load(RescoreSettings)
    scratch = Path(settings.scratch)
    scratch.mkdir(parents=True, exist_ok=True)
    spark = session.start(settings, "rescore")
    records = all_requests(spark, settings.kafka).cache()
    with settings.out.open("w") as out:
        for version in settings.versions.split(","):
            checked = model.fetch(settings.mlflow, settings.dataset, version, scratch / f"version-{version}")
            pipeline = PipelineModel.load(checked.pipeline)
            for line in expected(records, pipeline, checked):
                out.write(json.dumps(line) + "\n")
    spark.stop()


if __name__ == "__main__":
    main()
