"""The server's Spark session, tuned for milliseconds: small heap, nothing that reports, no network but loopback's."""

import sys
from pathlib import Path

from pyspark.sql import SparkSession

from apps.prediction_server.settings import RescoreSettings, ServerSettings


def start(settings: ServerSettings | RescoreSettings, name: str) -> SparkSession:
    """
    Start Spark with the Kafka connector.

    The default file system is the local one, where the throw-away checkpoint lives; ANSI mode is off, as in the
    trainer: a bad cell gives NULL and a rejection, never an exception.
    """
    jars = sorted(Path(settings.spark_jars).glob("*.jar"))
    options = {
        "spark.jars": ",".join(str(jar) for jar in jars),
        "spark.driver.memory": settings.heap,
        "spark.driver.host": settings.driver_host,
        "spark.driver.bindAddress": settings.driver_host,
        "spark.driver.extraJavaOptions": f"-Djava.io.tmpdir={settings.scratch} -XX:+UseSerialGC -Xss4m",
        "spark.pyspark.python": sys.executable,
        "spark.local.dir": str(settings.scratch),
        "spark.sql.warehouse.dir": str(settings.scratch / "warehouse"),
        "spark.hadoop.fs.defaultFS": "file:///",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.ansi.enabled": "false",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.mapKeyDedupPolicy": "LAST_WIN",
        "spark.sql.shuffle.partitions": "1",
        "spark.task.maxFailures": "1",
    }
    builder = SparkSession.builder.master(settings.spark_master).appName(name)
    for option, value in options.items():
        builder = builder.config(option, value)
    spark = builder.getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    return spark
