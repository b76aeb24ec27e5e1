"""
The server's Spark session and the pipeline loaded into it.

It is tuned for milliseconds: small heap, nothing that reports, no network but loopback's.
"""

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pyspark.ml import PipelineModel, Transformer
from pyspark.ml.feature import SQLTransformer
from pyspark.ml.pipeline import PipelineSharedReadWrite
from pyspark.ml.util import DefaultParamsReader
from pyspark.sql import SparkSession

from apps.common.errors import ModelRefused, SettingsError
from apps.common.model_files import PIPELINE
from apps.common.spark import BACKTRACKING_DECIMAL, DECIMAL, MEANING, WHOLE
from apps.common.spark_paths import temporary_folder
from apps.common.sql_statements import statement_problems
from apps.prediction_server import class_archive
from apps.prediction_server.model import Model, statements
from apps.prediction_server.settings import SparkSettings

# Only the quick compiler. With the thorough one an answer at 100 requests/s comes 0.5 ms sooner, and at 1,000/s 10 ms,
# but on two cores its threads made a roll-out last 45 s instead of 30 and the silence at a hand-over 360 ms instead of
# 180 (medians of 4 and 5 roll-outs in one run).
JVM = " ".join((WHOLE, *class_archive.JAVA))
AT_ONCE = 4  # stages that are loaded side by side; each is a few small Spark jobs


def start(settings: SparkSettings, name: str) -> SparkSession:
    """
    Start Spark with the Kafka connector.

    The default file system is the local one, where the throw-away checkpoint lives. A task that fails ends the query
    and with it the process, because a task that is run again would write its answers twice and out of order.
    """
    if not any(settings.spark_jars.glob("*.jar")):
        raise SettingsError(f"BATON_SPARK_JARS must be a folder of jars; got {settings.spark_jars}; see stack/jars")
    settings.scratch.mkdir(parents=True, exist_ok=True)
    archived = class_archive.java_option(settings.class_archive)
    options = {
        "spark.master": settings.spark_master,
        **settings.authentication(settings.spark_master),
        "spark.driver.extraClassPath": class_archive.class_path(settings.spark_jars),
        "spark.driver.memory": settings.heap,
        "spark.driver.host": settings.driver_host,
        "spark.driver.bindAddress": settings.driver_host,
        "spark.driver.extraJavaOptions": f"{temporary_folder(settings.scratch)} {JVM}{archived}",
        "spark.pyspark.python": sys.executable,
        "spark.local.dir": str(settings.scratch),
        "spark.log.level": "ERROR",
        "spark.sql.warehouse.dir": str(settings.scratch / "warehouse"),
        "spark.hadoop.fs.defaultFS": "file:///",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        **MEANING,
        "spark.sql.shuffle.partitions": "1",
        # HotSpot never compiles a method above this size, and a whole pipeline is one of five times as much.
        "spark.sql.codegen.hugeMethodLimit": "8000",
        "spark.sql.streaming.metricsEnabled": "false",
        "spark.task.maxFailures": "1",
    }
    builder = SparkSession.builder.appName(name)
    for option, value in (options | settings.spark_options()).items():
        builder = builder.config(option, value)
    return builder.getOrCreate()


def load_pipeline(spark: SparkSession, model: Model) -> PipelineModel:
    """The PipelineModel of a checked version; raise ModelRefused when a statement in it does more than compute."""
    if problems := [
        f"{path}: its statement {problem}"
        for pipeline in model.pipelines
        for path, statement in statements(pipeline).items()
        for problem in statement_problems(spark, statement)
    ]:
        raise ModelRefused(f"version {model.version} must only compute; {'; '.join(problems)}; train it again")
    return _load_local(spark, model.local_pipeline) if model.local_pipeline else _load_saved(spark, model)


def _load_local(spark: SparkSession, folder: Path) -> PipelineModel:
    """Spark's local format, which PySpark has no name for."""
    loaded = spark._jvm.org.apache.spark.ml.PipelineModel.read().loadFromLocal(str(folder))  # noqa: SLF001
    return PipelineModel._from_java(loaded)  # noqa: SLF001


def _load_saved(spark: SparkSession, model: Model) -> PipelineModel:
    """
    The format that everybody reads, of versions without the other.

    The list of its stages is read here and each stage by Spark, side by side: one after the other takes twice as long.
    """
    metadata = next((model.pipeline / "metadata").glob("part-*")).read_text().splitlines()[0]
    uids = json.loads(metadata)["paramMap"]["stageUids"]
    stages = f"{model.location}/{PIPELINE}/stages"
    paths = [PipelineSharedReadWrite.getStagePath(uid, place, len(uids), stages) for place, uid in enumerate(uids)]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        loaded = pool.map(lambda path: DefaultParamsReader.loadParamsInstance(path, spark), paths)
        return PipelineModel([_in_linear_time(stage) for stage in loaded])


def _in_linear_time(stage: Transformer) -> Transformer:
    """A stage of a version registered before numbers were read by a pattern that cannot backtrack; it reads as ever."""
    if isinstance(stage, SQLTransformer):
        stage.setStatement(stage.getStatement().replace(BACKTRACKING_DECIMAL, DECIMAL))
    return stage
