"""
The environment of every process of a stack.

A person's shell may hold settings of another Spark, Kafka, Postgres or Python; they are kept out, so that a stack
starts the same from every shell.
"""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from stack.services import StackSpec

ROOT = Path(__file__).parent.parent
HOST = "127.0.0.1"
FOREIGN = ("BATON_", "HADOOP_", "HDFS_", "KAFKA_", "MLFLOW_", "_MLFLOW_", "PG", "PYSPARK_", "PYTHON", "SPARK_")
JAVA_OPTIONS = ("CLASSPATH", "JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "_JAVA_OPTIONS")


def inherited() -> dict[str, str]:
    """What a process gets from the shell that Baton was started in."""
    shell = os.environ  # noqa: TID251 - the one place where the stack reads it
    return {k: v for k, v in shell.items() if not k.startswith(FOREIGN) and k not in JAVA_OPTIONS}


def shell_settings() -> dict[str, str]:
    """The variables of the shell that an app run by hand would take, and that no stack takes."""
    return {k: v for k, v in os.environ.items() if k.startswith("BATON_")}  # noqa: TID251 - to say that they are not used


def app_environment(stack: StackSpec, state: Path, spark_jars: Path, settings: Mapping[str, str]) -> dict[str, str]:
    """
    What every app is told: where the platform is, where the state is, and ``settings``, which win.

    ``./baton env`` prints this, so that an app run by hand behaves as one that the supervisor runs.
    """
    delivery = stack.delivery
    return {
        "BATON_MODE": "embedded",
        "BATON_KAFKA": stack.service("kafka").address_at(HOST),
        "BATON_HDFS": stack.service("namenode").address_at(HOST),
        "BATON_MLFLOW": stack.service("mlflow").address_at(HOST),
        "BATON_DATASET": "used_cars",
        "BATON_STATE": str(state),
        "BATON_SPARK_JARS": str(spark_jars),
        "BATON_TRIGGER": delivery.trigger,
        "BATON_TRIGGER_INTERVAL": delivery.trigger_interval,
        "MLFLOW_TRACKING_URI": stack.service("mlflow").address_at(HOST),
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "true",
        "PYSPARK_PYTHON": sys.executable,
        "PYSPARK_DRIVER_PYTHON": sys.executable,
        "SPARK_LOCAL_IP": HOST,
        "PYTHONPATH": str(ROOT),
        "PYTHONUNBUFFERED": "1",
        **settings,
    }
