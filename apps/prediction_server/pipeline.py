"""Loads a checked pipeline, its stages side by side: one after the other takes twice as long."""

import json
from concurrent.futures import ThreadPoolExecutor

from pyspark.ml import PipelineModel
from pyspark.ml.pipeline import PipelineSharedReadWrite
from pyspark.ml.util import DefaultParamsReader
from pyspark.sql import SparkSession

from apps.prediction_server.model import PIPELINE, Model

AT_ONCE = 4  # each is a few small Spark jobs


def load(spark: SparkSession, model: Model) -> PipelineModel:
    """The PipelineModel of a version; the list of its stages is read here, each stage by Spark."""
    metadata = next((model.pipeline / "metadata").glob("part-*")).read_text().splitlines()[0]
    uids = json.loads(metadata)["paramMap"]["stageUids"]
    stages = f"{model.location}/{PIPELINE}/stages"
    paths = [PipelineSharedReadWrite.getStagePath(uid, place, len(uids), stages) for place, uid in enumerate(uids)]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return PipelineModel(list(pool.map(lambda path: DefaultParamsReader.loadParamsInstance(path, spark), paths)))
