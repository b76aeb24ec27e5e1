"""What the trainer takes from the environment; every default suits a machine of two cores."""

import tempfile
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field

from apps.common.settings import DAY_S, LARGEST, MEMORY, STACK, SetBy, Unit
from apps.common.spark import SPARK_MASTER, ExecutorSettings


class TrainerSettings(ExecutorSettings):
    """The batch to train on, where Spark runs, and how large the learners are."""

    batch: Annotated[str, SetBy("whoever starts the training")] = Field(
        min_length=1, pattern=r"^[^/._][^/]*$", description="The batch in landing/ to train on."
    )
    content_hash: Annotated[str, SetBy("whoever starts the training")] = Field(
        default="", pattern="^([0-9a-f]{64})?$", description="The content that the batch must have; empty takes any."
    )
    training_deadline_s: Annotated[int, Unit("seconds")] = Field(
        default=21600,
        ge=60,
        le=30 * DAY_S,
        description="How long a training may take before whoever runs it ends it; in a cluster trainer.deadlineSeconds "
        "has the default.",
    )
    spark_master: str = Field(
        default="local[*]", pattern=SPARK_MASTER, description="Where Spark runs; local[*] has a slot for each core."
    )
    driver_host: Annotated[str, STACK] = Field(
        default="127.0.0.1", description="The address that Spark's driver listens on."
    )
    driver_memory: Annotated[str, Unit("bytes, as 2g")] = Field(
        default="2g",
        pattern=MEMORY,
        description="The heap of Spark's JVM; in a cluster trainer.driverMemory has the default.",
    )
    java_options: str = Field(
        default="-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -XX:MetaspaceSize=256m -XX:ReservedCodeCacheSize=160m",
        description="Options of Spark's JVM. A short training spends more in the optimizing compiler than it gains; "
        "leave it empty for millions of rows.",
    )
    shuffle_partitions: Annotated[int, Unit("partitions")] = Field(
        default=1,
        ge=1,
        le=10_000,
        description="How many parts Spark joins and groups rows in. For thousands of rows one is the fastest, since "
        "fits run side by side anyway.",
    )
    scratch: Annotated[Path, STACK] = Field(
        default_factory=lambda: Path(tempfile.gettempdir()),
        description="The folder in which a training makes its own, for everything that it writes on its own disk.",
    )
    hdfs_replication: Annotated[int, Unit("copies")] = Field(
        default=1, ge=1, le=512, description="How many DataNodes keep each block that the training writes to HDFS."
    )

    max_train_rows: Annotated[int, Unit("rows")] = Field(
        default=LARGEST,
        ge=1000,
        le=LARGEST,
        description="The most rows that a training is given, its test rows among them; of more it takes those of the "
        "keys with the lowest hash. As it is, it bounds nothing.",
    )
    folds: Annotated[int, Unit("folds")] = Field(
        default=3, ge=2, le=20, description="How many parts of the train set the stacked model is fitted across."
    )
    parallel_fits: Annotated[int, Unit("fits")] = Field(
        default=2, ge=1, le=100, description="How many learners are fitted at a time."
    )
    trees: Annotated[int, Unit("trees")] = Field(
        default=240,
        ge=1,
        le=10_000,
        description="How many trees are added up, one after the other; more cost the server more.",
    )
    tree_leaves: Annotated[int, Unit("leaves")] = Field(
        default=15, ge=2, le=10_000, description="How many leaves a tree may have."
    )
    leaf_rows: Annotated[int, Unit("rows")] = Field(
        default=20, ge=1, le=LARGEST, description="The least rows that a leaf of a tree stands for."
    )
    ridge: Annotated[float, Unit("none")] = Field(
        default=0.01, ge=0, le=LARGEST, description="How much the linear learner is held back from large coefficients."
    )
    target_smoothing: Annotated[float, Unit("rows")] = Field(
        default=20.0,
        ge=0,
        le=LARGEST,
        description="How many average rows a category's mean is mixed with; more distrusts rare categories.",
    )
    seed: Annotated[int, Unit("none")] = Field(
        default=17, ge=0, le=LARGEST, description="What the trainer's random choices follow from."
    )
    gate_margin: Annotated[float, Unit("share of the champion's error")] = Field(
        default=0.1,
        ge=0,
        le=LARGEST,
        description="How much larger a new version's error may be than the champion's, on the champion's test rows: "
        "0.1 is a tenth. It is the RMSE, for a binary task the log loss. A version that is worse by more, beyond what "
        "chance explains, is registered and does not become champion.",
    )

    def drawn_anew(self, content_hash: str) -> Self:
        """The same with another seed, that of a training without new rows; tried again it has that seed again."""
        return self.model_copy(update={"seed": (self.seed + int(content_hash[:8], 16)) % LARGEST})

    def in_a_folder_of_its_own(self) -> Self:
        """The same with a new folder below ``scratch`` as its scratch, which only its user may enter; raise OSError."""
        self.scratch.mkdir(parents=True, exist_ok=True)
        return self.model_copy(update={"scratch": Path(tempfile.mkdtemp(prefix="baton-training-", dir=self.scratch))})
