"""What the new-data watcher takes from the environment."""

from pydantic import Field

from apps.orchestrator.factory import OrchestratorSettings


class NewDataWatcherSettings(OrchestratorSettings):
    """How often to look (0: once), for how long (0: for ever), and how long a batch may stay half-written."""

    tick_s: float = Field(default=0.0, ge=0)
    tick_for_s: float = Field(default=0.0, ge=0)
    batch_grace_s: float = Field(default=600.0, ge=0)
