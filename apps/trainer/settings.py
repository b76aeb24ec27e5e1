"""What the trainer takes from the environment; every default suits a machine of two cores."""

import tempfile
from pathlib import Path

from pydantic import Field

from apps.common.spark import ExecutorSettings


class TrainerSettings(ExecutorSettings):
    """The batch to train on, where Spark runs, and how large the learners are."""

    batch: str = Field(min_length=1, pattern=r"^[^/._][^/]*$")
    spark_master: str = "local[*]"
    driver_host: str = "127.0.0.1"
    driver_memory: str = "2g"
    java_options: str = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -XX:MetaspaceSize=256m"
    """A short training spends more in the optimizing compiler than it gains; leave it empty for millions of rows."""
    shuffle_partitions: int = Field(default=1, ge=1)
    """For thousands of rows one is the fastest: the fits run side by side anyway."""
    scratch: Path = Field(default_factory=lambda: Path(tempfile.gettempdir()) / "baton-trainer")
    hdfs_replication: int = Field(default=1, ge=1)

    folds: int = Field(default=3, ge=2, le=20)
    parallel_fits: int = Field(default=2, ge=1)
    trees: int = Field(default=20, ge=1)
    """Forty took twice the time and were not better on 8,000 used cars."""
    tree_depth: int = Field(default=10, ge=1, le=30)
    leaf_rows: int = Field(default=5, ge=1)
    ridge: float = Field(default=0.01, ge=0)
    target_smoothing: float = Field(default=20.0, ge=0)
    seed: int = 17
