"""What live metrics take from the environment."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from apps.common.exposition import ExpositionSettings
from apps.common.settings import DAY_S, LARGEST, MEMORY, STACK, Unit


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
    drift_sample: Annotated[float, Unit("share")] = Field(
        default=0.1,
        ge=0,
        le=1,
        description="The share of requests and answers that are held against what a version learned from; 0 for none.",
    )
    drift_window_s: Annotated[int, Unit("seconds")] = Field(
        default=3600, ge=1, le=7 * DAY_S, description="How much time a figure of drift is of, by the broker's clock."
    )
    alarm: Literal["off", "dry-run", "act"] = Field(
        default="dry-run",
        description="Whether a champion whose live error is too large is told of (dry-run), or undone too (act): the "
        "alias goes back to the version before it, unless a person moved it.",
    )
    alarm_margin: Annotated[float, Unit("share of the error")] = Field(
        default=0.25,
        ge=0,
        le=1000,
        description="How much larger the live RMSE may be than that of the version before, or, where too little is "
        "known of that one, than the version's own on its test rows: 0.25 is a quarter.",
    )
    alarm_outcomes: Annotated[int, Unit("outcomes")] = Field(
        default=100, ge=2, le=LARGEST, description="The least outcomes that a window is judged by."
    )
    alarm_failures: Annotated[int, Unit("windows")] = Field(
        default=2, ge=1, le=1000, description="How many windows in a row must fail, each beyond what chance explains."
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
