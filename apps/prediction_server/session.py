"""The server's Spark session, tuned for milliseconds: small heap, nothing that reports, no network but loopback's."""

import sys
from pathlib import Path

from pyspark.sql import SparkSession

from apps.common.errors import SettingsError
from apps.prediction_server.settings import SparkSettings

# The thorough compiler only for what is really hot: with its usual thresholds it takes half the CPU of a start, and
# without it, on two cores, a thousand requests per second wait for each other.
JVM = (
    "-XX:+UseSerialGC -Xss4m -XX:Tier4InvocationThreshold=20000 -XX:Tier4MinInvocationThreshold=3000 "
    "-XX:Tier4CompileThreshold=60000 -XX:Tier4BackEdgeThreshold=160000"
)


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
    builder = SparkSession.builder.master(settings.spark_master).appName(name)
    for option, value in options.items():
        builder = builder.config(option, value)
    return builder.getOrCreate()
