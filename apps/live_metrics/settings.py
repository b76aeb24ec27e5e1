"""What live metrics take from the environment."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from apps.common.exposition import ExpositionSettings
from apps.common.settings import DAY_S, MEMORY, STACK, Unit


class LiveMetricsSettings(ExpositionSettings):
    """How long an outcome is waited for, and how much time a figure is of."""

    live_metrics: Literal["on", "off"] = Field(
        default="off", description="Whether answers are joined with their outcomes, to say how good a version is."
    )
    outcome_wait_s: Annotated[int, Unit("seconds")] = Field(
        default=3600, ge=1, le=7 * DAY_S, description="How long after its answer an outcome still counts."
    )
    window_s: Annotated[int, Unit("seconds")] = Field(
        default=60, ge=1, le=DAY_S, description="How much time a figure is of, by when the predictions were made."
    )
    metrics_period_s: Annotated[float, Unit("seconds")] = Field(
        default=5, gt=0, le=DAY_S, description="How often new answers and outcomes are taken in."
    )
    scratch: Annotated[Path, STACK] = Field(description="The folder for everything that Spark writes.")
    spark_jars: Annotated[Path, STACK] = Field(description="The folder with Spark's Kafka connector.")
    ready_file: Annotated[Path, STACK] = Field(description="The file beside which signs of life are given.")
    driver_host: Annotated[str, STACK] = Field(
        default="127.0.0.1", description="The address that Spark's driver listens on."
    )
    metrics_heap: Annotated[str, Unit("bytes, as 512m")] = Field(
        default="512m", pattern=MEMORY, description="The heap of the JVM that joins answers and outcomes."
    )
