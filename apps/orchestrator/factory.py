"""Makes the adapter of the orchestrator port that the settings name: the mode is given, never detected."""

from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationInfo, field_validator

from apps.common.settings import Settings
from apps.orchestrator.embedded import EmbeddedOrchestrator
from apps.orchestrator.port import Orchestrator


class OrchestratorSettings(Settings):
    """Who runs the trainer and the server: the supervisor of a ``state`` folder, or Kubernetes in a ``namespace``."""

    mode: Literal["embedded", "cluster"] = "embedded"
    state: Path | None = None
    namespace: str = "baton"

    @field_validator("state")
    @classmethod
    def _state_is_given(cls, value: Path | None, info: ValidationInfo) -> Path | None:
        if value is None and info.data.get("mode") == "embedded":
            raise ValueError("the embedded mode needs the stack's state folder")
        return value


class WatcherSettings(OrchestratorSettings):
    """How often a watcher looks (0: once), and for how long (0: for ever)."""

    tick_s: float = Field(default=0.0, ge=0)
    tick_for_s: float = Field(default=0.0, ge=0)


def from_settings(settings: OrchestratorSettings) -> Orchestrator:
    """The adapter that the settings name."""
    if settings.mode == "cluster":
        from apps.orchestrator.cluster import ClusterOrchestrator, own_cluster  # noqa: PLC0415 - 1 s to import

        return ClusterOrchestrator(own_cluster(), settings.namespace)
    return EmbeddedOrchestrator(settings.state or Path())
