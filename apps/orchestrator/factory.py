"""Makes the adapter of the orchestrator port that the settings name: the mode is given, never detected."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator

from apps.common.exposition import ExpositionSettings
from apps.common.settings import CHART, STACK, SetBy, Settings, Unit
from apps.orchestrator.embedded import EmbeddedOrchestrator
from apps.orchestrator.port import Orchestrator


class OrchestratorSettings(Settings):
    """Who runs the trainer and the server: the supervisor of a ``state`` folder, or Kubernetes in a ``namespace``."""

    mode: Annotated[Literal["embedded", "cluster"], SetBy("--mode")] = Field(
        default="embedded", description="Who runs the trainer and the server: the supervisor, or Kubernetes."
    )
    state: Annotated[Path | None, STACK] = Field(default=None, description="The stack's state folder.")
    namespace: Annotated[str, CHART] = Field(default="baton", description="The Kubernetes namespace of the stack.")

    @field_validator("state")
    @classmethod
    def _state_is_given(cls, value: Path | None, info: ValidationInfo) -> Path | None:
        if value is None and info.data.get("mode") == "embedded":
            raise ValueError("the embedded mode needs the stack's state folder")
        return value


class WatcherSettings(OrchestratorSettings, ExpositionSettings):
    """How often a watcher looks, and for how long."""

    tick_s: Annotated[float, Unit("seconds"), SetBy("delivery.tick_seconds in stack/stack.yaml")] = Field(
        default=0.0, ge=0, description="How often to look; 0 looks once and ends."
    )
    tick_for_s: Annotated[float, Unit("seconds"), SetBy("watchers.seconds of charts/pipeline")] = Field(
        default=0.0, ge=0, description="For how long to look; 0 goes on until it is ended."
    )


def from_settings(settings: OrchestratorSettings) -> Orchestrator:
    """The adapter that the settings name."""
    if settings.mode == "cluster":
        from apps.orchestrator.cluster import ClusterOrchestrator, own_cluster  # noqa: PLC0415 - 1 s to import

        return ClusterOrchestrator(own_cluster(), settings.namespace)
    return EmbeddedOrchestrator(settings.state or Path())
