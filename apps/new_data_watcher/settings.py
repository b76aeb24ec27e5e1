"""What the new-data watcher takes from the environment."""

from typing import Annotated

from pydantic import Field, field_validator

from apps.common.schedule import cron_problem, zone_problem
from apps.common.settings import DAY_S, Unit
from apps.orchestrator.factory import WatcherSettings


class NewDataWatcherSettings(WatcherSettings):
    """How long a batch may stay half-written, and when a training is due without one."""

    batch_grace_s: Annotated[float, Unit("seconds")] = Field(
        default=600.0,
        ge=0,
        le=30 * DAY_S,
        description="How long a batch in landing/ may stay incomplete before it is refused.",
    )
    schedule: str = Field(
        default="",
        description="When to train on what is there, though no batch has landed: cron text, as `0 2 * * *`. "
        "Empty: never. The gate decides as ever.",
    )
    schedule_zone: str = Field(
        default="UTC", description="The time zone of the hours in schedule, by its name, as Europe/Berlin."
    )

    @field_validator("schedule")
    @classmethod
    def _is_cron_text(cls, value: str) -> str:
        if problem := value and cron_problem(value):
            raise ValueError(problem)
        return value

    @field_validator("schedule_zone")
    @classmethod
    def _is_a_zone(cls, value: str) -> str:
        if problem := zone_problem(value):
            raise ValueError(problem)
        return value
