"""What the new-model watcher takes from the environment."""

from pydantic import Field

from apps.orchestrator.factory import OrchestratorSettings


class NewModelWatcherSettings(OrchestratorSettings):
    """How often to look (0: once), and for how long (0: for ever)."""

    tick_s: float = Field(default=0.0, ge=0)
    tick_for_s: float = Field(default=0.0, ge=0)
