"""What the prediction server and the rescorer take from the environment."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from apps.common.exposition import ExpositionSettings
from apps.common.settings import DAY_S, DELIVERY, MEMORY, STACK, SetBy, Unit
from apps.common.spark import SPARK_MASTER, ExecutorSettings
from apps.common.target import Target
from apps.common.topics import MOST_PARTITIONS

ROLL_OUT = SetBy("whoever rolls a release out")
PROOF = SetBy("./baton demo")


class SparkSettings(ExecutorSettings):
    """Where Spark runs, and where everything is that it reads and writes beside Kafka."""

    scratch: Annotated[Path, STACK] = Field(description="The folder for everything that Spark writes.")
    spark_jars: Annotated[Path, STACK] = Field(description="The folder with Spark's Kafka connector.")
    class_archive: Annotated[Path | None, STACK] = Field(
        default=None,
        description="The file with Java's archive of Spark's classes, which makes a start seconds shorter.",
    )
    spark_master: str = Field(
        default=f"local[{MOST_PARTITIONS}]",
        pattern=SPARK_MASTER,
        description="Where Spark runs, and its slots, which cost nothing: each partition holds one.",
    )
    driver_host: Annotated[str, STACK] = Field(
        default="127.0.0.1", description="The address that Spark's driver listens on."
    )
    heap: Annotated[str, Unit("bytes, as 768m")] = Field(
        default="768m", pattern=MEMORY, description="The heap of Spark's JVM."
    )
    compiler: Literal["quick", "thorough"] = Field(
        default="quick",
        description="How Spark's JVM compiles. thorough holds half as many requests a second again, and a roll-out on "
        "two cores takes a fifth longer and shows a little more.",
    )


class ServerSettings(SparkSettings, ExpositionSettings):
    """What to serve, how answers are made, and how long to wait for what is needed."""

    model_config = SettingsConfigDict(env_ignore_empty=True)  # a pod that has no release yet is told nothing

    model_version: Annotated[str, ROLL_OUT] = Field(
        default="", description="The version to serve; empty until there is a first one: the server then waits."
    )
    model_name: Annotated[str, ROLL_OUT] = Field(
        default="", description="The registered model of that version; empty means the stack's own."
    )
    run_id: Annotated[str, ROLL_OUT] = Field(
        default="", description="The run that the version must be of; empty takes any."
    )
    manifest_sha256: Annotated[str, ROLL_OUT] = Field(
        default="",
        pattern="^([0-9a-f]{64})?$",
        description="The sha256 that the version's manifest must have; empty takes any.",
    )
    release: Annotated[int, Unit("none"), ROLL_OUT] = Field(default=0, ge=0, description="The number of the roll-out.")
    ready_file: Annotated[Path, STACK] = Field(description="The file that appears when the server is ready.")
    trigger: Annotated[Literal["real-time", "micro-batch"], DELIVERY] = Field(
        default="real-time", description="Spark's trigger; micro-batch is the slower, classic one."
    )
    trigger_interval: Annotated[str, DELIVERY] = Field(
        default="60 minutes",
        pattern="^[1-9][0-9]* [a-z]+$",
        description="How often the real-time trigger makes a checkpoint; each is about 0.25 s of silence.",
    )
    stall_s: Annotated[float, Unit("seconds")] = Field(
        default=5,
        gt=0,
        le=DAY_S,
        description="How long a request may wait, while the broker answers, before the server ends to be started anew.",
    )
    probe_deadline_s: Annotated[float, Unit("seconds")] = Field(
        default=120,
        gt=0,
        le=DAY_S,
        description="How long a server that starts may make no progress to its own probes before it ends.",
    )

    @property
    def target(self) -> Target:
        """What to serve."""
        return Target(self.model_name or self.names.model, self.model_version, self.run_id, self.manifest_sha256)


class StandbySettings(ServerSettings):
    """Whether there is one, and when it takes over."""

    standby: Literal["on", "off"] = Field(
        default="off",
        description="Whether a second server stands by. In a cluster it does unless this says off.",
    )
    takeover_s: Annotated[float, Unit("seconds")] = Field(
        default=0.7, gt=0, le=DAY_S, description="How long a request may wait before the standby answers."
    )


class RescoreSettings(SparkSettings):
    """Which versions to compute predictions with, and where these go."""

    versions: Annotated[str, PROOF] = Field(description="The versions to predict with, separated by commas.")
    out: Annotated[Path, PROOF] = Field(description="The file of JSON lines to write.")
    spark_master: str = Field(
        default="local[2]", pattern=SPARK_MASTER, description="Where Spark runs; local[2] has two slots."
    )
    heap: Annotated[str, Unit("bytes, as 1g")] = Field(
        default="1g", pattern=MEMORY, description="The heap of Spark's JVM."
    )
