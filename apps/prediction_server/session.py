"""The server's Spark session, tuned for milliseconds: small heap, nothing that reports, no network but loopback's."""

import sys
from pathlib import Path

from pyspark.sql import SparkSession

from apps.common.errors import SettingsError
from apps.prediction_server.settings import SparkSettings

# Only the quick compiler. With the thorough one an answer at 100 requests/s comes 0.5 ms sooner, and at 1,000/s 10 ms,
# but on two cores its threads made a roll-out last 45 s instead of 30 and the silence at a hand-over 360 ms instead of
# 180 (medians of 4 and 5 roll-outs in one run).
JVM = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Xss4m"


def start(settings: SparkSettings, name: str) -> SparkSession:
    """
    Start Spark with the Kafka connector.

    The default file system is the local one, where the throw-away checkpoint lives; ANSI mode is off, as in the
    trainer: a bad cell gives NULL and a rejection, never an exception. A task that fails ends the query and with it
    the process, because a task that is run again would write its answers twice and out of order.
    """
    jars = sorted(Path(settings.spark_jars).glob("*.jar"))
    if not jars:
        raise SettingsError(f"BATON_SPARK_JARS must be a folder of jars; got {settings.spark_jars}; see stack/jars")
    settings.scratch.mkdir(parents=True, exist_ok=True)
    options = {
        "spark.master": settings.spark_master,
        "spark.driver.extraClassPath": ":".join(map(str, jars)),
        "spark.driver.memory": settings.heap,
        "spark.driver.host": settings.driver_host,
        "spark.driver.bindAddress": settings.driver_host,
        "spark.driver.extraJavaOptions": f"-Djava.io.tmpdir={settings.scratch} {JVM}",
        "spark.pyspark.python": sys.executable,
        "spark.local.dir": str(settings.scratch),
        "spark.log.level": "ERROR",
        "spark.sql.warehouse.dir": str(settings.scratch / "warehouse"),
        "spark.hadoop.fs.defaultFS": "file:///",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.ansi.enabled": "false",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.shuffle.partitions": "1",
        "spark.sql.streaming.metricsEnabled": "false",
        "spark.task.maxFailures": "1",
    }
    builder = SparkSession.builder.appName(name)
    for option, value in (options | settings.spark_options()).items():
        builder = builder.config(option, value)
    return builder.getOrCreate()
