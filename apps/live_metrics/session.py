"""The Spark session of live metrics: small, and with its state on disk, because it runs beside the server."""

import sys

from pyspark.sql import SparkSession

from apps.common.spark import MEANING, QUICK_TO_PLAN, WHOLE
from apps.common.spark_paths import temporary_folder
from apps.live_metrics.settings import LiveMetricsSettings

ROCKSDB = "org.apache.spark.sql.execution.streaming.state.RocksDBStateStoreProvider"


def start(settings: LiveMetricsSettings) -> SparkSession:
    """Start Spark with the Kafka connector; what a checkpoint keeps for ever (partitions, state store) is said here."""
    settings.scratch.mkdir(parents=True, exist_ok=True)
    java = (temporary_folder(settings.scratch), WHOLE, "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
    options = {
        "spark.master": "local[2]",
        "spark.driver.extraClassPath": f"{settings.spark_jars}/*",
        "spark.driver.memory": settings.metrics_heap,
        "spark.driver.host": settings.driver_host,
        "spark.driver.bindAddress": settings.driver_host,
        "spark.driver.extraJavaOptions": " ".join(java),
        "spark.pyspark.python": sys.executable,
        "spark.local.dir": str(settings.scratch),
        "spark.log.level": "ERROR",
        "spark.sql.warehouse.dir": str(settings.scratch / "warehouse"),
        "spark.hadoop.dfs.client.use.datanode.hostname": "true",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        **MEANING,
        **QUICK_TO_PLAN,
        "spark.sql.shuffle.partitions": "1",
        "spark.sql.streaming.stateStore.providerClass": ROCKSDB,
        "spark.sql.streaming.stateStore.rocksdb.changelogCheckpointing.enabled": "true",
        "spark.sql.streaming.stateStore.rocksdb.boundedMemoryUsage": "true",
        "spark.sql.streaming.stateStore.rocksdb.maxMemoryUsageMB": "64",
        # Of a join one state store and not four, each of which is written and renamed in HDFS with each batch.
        "spark.sql.streaming.join.stateFormatVersion": "3",
        # An outcomes topic in which nobody writes must not keep the answers of all time.
        "spark.sql.streaming.multipleWatermarkPolicy": "max",
        "spark.sql.streaming.minBatchesToRetain": "10",
    }
    builder = SparkSession.builder.appName("live-metrics")
    for name, value in options.items():
        builder = builder.config(name, value)
    return builder.getOrCreate()
