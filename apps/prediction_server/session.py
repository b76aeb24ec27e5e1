"""
The server's Spark session and the pipeline loaded into it.

It is tuned for milliseconds: small heap, nothing that reports, no network but loopback's.
"""

import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from pyspark.ml import PipelineModel, Transformer
from pyspark.ml.feature import SQLTransformer
from pyspark.ml.pipeline import PipelineSharedReadWrite
from pyspark.ml.util import DefaultParamsReader
from pyspark.sql import SparkSession

from apps.common.crash import jvm
from apps.common.errors import SettingsError
from apps.common.local_pipeline import AnyPipeline, LocalPipeline
from apps.common.model import Model
from apps.common.model_files import PIPELINE
from apps.common.spark import BACKTRACKING_DECIMAL, DECIMAL, MEANING, QUICK_TO_PLAN, WHOLE
from apps.common.spark_paths import temporary_folder
from apps.prediction_server import class_archive
from apps.prediction_server.settings import SparkSettings

# The thorough compiler makes what is called most often cheaper by half: on two cores 2,000 requests/s are held with it,
# and 1,400 without. At a start it takes as much of a processor as all the rest, which a server that still answers would
# miss, so it begins twenty times as late as Java would let it. The worst answer at a switch, medians of 6 roll-outs at
# 200/s: quick 46 ms, thorough so late 52, as early as Java lets it 142; until the new one serves: 26, 30 and 40 s.
LATE = {"Invocation": 100_000, "MinInvocation": 12_000, "Compile": 300_000, "BackEdge": 800_000}
COMPILERS = {
    "quick": (class_archive.QUICK_COMPILER,),
    "thorough": ("-XX:Tier3DelayOn=0", *(f"-XX:Tier4{what}Threshold={count}" for what, count in LATE.items())),
}
THOROUGH, LAST = "C2 CompilerThre", 19  # the name that Linux keeps of such a thread; the lowest priority
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
    java = (temporary_folder(settings.scratch), WHOLE, *class_archive.JAVA, *COMPILERS[settings.compiler])
    options = {
        "spark.master": settings.spark_master,
        **settings.authentication(settings.spark_master),
        "spark.driver.extraClassPath": class_archive.class_path(settings.spark_jars),
        "spark.driver.memory": settings.heap,
        "spark.driver.host": settings.driver_host,
        "spark.driver.bindAddress": settings.driver_host,
        "spark.driver.extraJavaOptions": " ".join(java) + class_archive.java_option(settings.class_archive),
        "spark.pyspark.python": sys.executable,
        "spark.local.dir": str(settings.scratch),
        "spark.log.level": "ERROR",
        "spark.sql.warehouse.dir": str(settings.scratch / "warehouse"),
        "spark.hadoop.fs.defaultFS": "file:///",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        **MEANING,
        **QUICK_TO_PLAN,
        "spark.sql.shuffle.partitions": "1",
        # HotSpot never compiles a method above this size, and a whole pipeline is one of five times as much. Without
        # such methods at all a start is a second shorter, and an answer takes longer (500/s: p50 4.6, not 2.7 ms).
        "spark.sql.codegen.hugeMethodLimit": "8000",
        "spark.sql.streaming.metricsEnabled": "false",
        "spark.task.maxFailures": "1",
    }
    builder = SparkSession.builder.appName(name)
    for option, value in (options | settings.spark_options()).items():
        builder = builder.config(option, value)
    session = builder.getOrCreate()
    if settings.compiler == "thorough":
        _let_the_compiler_wait()
    return session


def _let_the_compiler_wait() -> None:
    """Put the thorough compiler's threads behind all others, where the system has a priority for each: on Linux."""
    process = jvm()
    for thread in class_archive.PROC.glob(f"{process.pid}/task/*") if process else ():
        with suppress(OSError):  # it has ended
            if (thread / "comm").read_text().strip() == THOROUGH:
                os.setpriority(os.PRIO_PROCESS, int(thread.name), LAST)


def load_pipeline(spark: SparkSession, model: Model) -> AnyPipeline:
    """The pipeline of a checked version; raise ModelRefused when a statement in it does more than compute."""
    model.require_computing(spark)
    return LocalPipeline(spark, model.local_pipeline) if model.local_pipeline else _load_saved(spark, model)


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
