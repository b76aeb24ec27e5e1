"""What the prediction server and the rescorer take from the environment."""

from pathlib import Path
from typing import Literal

from pydantic_settings import SettingsConfigDict

from apps.common.spark import ExecutorSettings


class SparkSettings(ExecutorSettings):
    """Where Spark runs; ``scratch`` holds everything it writes, ``spark_jars`` its Kafka connector."""

    scratch: Path
    spark_jars: Path
    spark_master: str = "local[4]"  # at least one slot per partition: a slot is held for as long as the query runs
    driver_host: str = "127.0.0.1"
    heap: str = "768m"


class ServerSettings(SparkSettings):
    """
    ``model_version`` is empty until there is a first version: the server then waits.

    ``ready_file`` appears when the server is ready.
    """

    model_config = SettingsConfigDict(env_ignore_empty=True)  # a pod that has no release yet is told nothing

    model_version: str = ""
    release: int = 0
    ready_file: Path
    trigger: Literal["real-time", "micro-batch"] = "real-time"
    trigger_interval: str = "60 minutes"  # of the real-time trigger: each time is about 0.25 s of silence
    kafka_deadline_s: float = 60
    probe_deadline_s: float = 120


class RescoreSettings(SparkSettings):
    """``versions`` are separated by commas; ``out`` is the file of JSON lines to write."""

    versions: str
    out: Path
    spark_master: str = "local[2]"
    heap: str = "1g"
