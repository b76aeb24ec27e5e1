"""What the new-data watcher takes from the environment."""

from typing import Annotated

from pydantic import Field

from apps.common.settings import DAY_S, Unit
from apps.orchestrator.factory import WatcherSettings


class NewDataWatcherSettings(WatcherSettings):
    """How long a batch may stay half-written, beside what every watcher is told."""

    batch_grace_s: Annotated[float, Unit("seconds")] = Field(
        default=600.0,
        ge=0,
        le=30 * DAY_S,
        description="How long a batch in landing/ may stay incomplete before it is refused.",
    )
