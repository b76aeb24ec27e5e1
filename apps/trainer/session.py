"""The trainer's Spark session: everything it writes stays in its scratch folder, everything it asks is local."""

import sys

from pyspark.sql import SparkSession

from apps.common.errors import Unavailable
from apps.common.spark import MEANING, QUICK_TO_PLAN, WHOLE
from apps.common.spark_paths import temporary_folder
from apps.trainer.settings import TrainerSettings


def start(settings: TrainerSettings) -> SparkSession:
    """
    Start Spark; raise Unavailable when it does not: no batch has been looked at by then.

    The default file system is the local one, since MLlib saves a model there (HDFS with executors, which share no disk
    with this process); HDFS is read by full URLs.
    """
    builder = SparkSession.builder.appName(f"baton-trainer-{settings.batch}")
    for name, value in (_options(settings) | settings.spark_options()).items():
        builder = builder.config(name, value)
    try:
        spark = builder.getOrCreate()
    except Exception as error:
        raise Unavailable(f"Spark must start; got {error}; see the log of the trainer") from error
    spark.sparkContext.setLogLevel("ERROR")
    return spark


def _options(settings: TrainerSettings) -> dict[str, str]:
    return {
        "spark.master": settings.spark_master,
        **settings.authentication(settings.spark_master),
        "spark.driver.memory": settings.driver_memory,
        "spark.driver.host": settings.driver_host,
        "spark.driver.bindAddress": settings.driver_host,
        "spark.driver.extraJavaOptions": f"{temporary_folder(settings.scratch)} {WHOLE} {settings.java_options}",
        "spark.pyspark.python": sys.executable,
        "spark.local.dir": str(settings.scratch),
        "spark.sql.warehouse.dir": str(settings.scratch / "warehouse"),
        "spark.hadoop.fs.defaultFS": settings.hdfs if settings.executors else "file:///",
        "spark.hadoop.dfs.client.use.datanode.hostname": "true",
        "spark.hadoop.dfs.replication": str(settings.hdfs_replication),
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        **MEANING,
        **QUICK_TO_PLAN,
        # HotSpot never compiles a method above this size, and the features of a wide dataset make one.
        "spark.sql.codegen.hugeMethodLimit": "8000",
        "spark.sql.shuffle.partitions": str(settings.shuffle_partitions),
        "spark.sql.adaptive.enabled": "false",
        "spark.sql.streaming.metricsEnabled": "false",
    }
