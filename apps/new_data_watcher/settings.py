"""What the new-data watcher takes from the environment."""

from pydantic import Field

from apps.orchestrator.factory import WatcherSettings


class NewDataWatcherSettings(WatcherSettings):
    """How long a batch may stay half-written, beside what every watcher is told."""

    batch_grace_s: float = Field(default=600.0, ge=0)
