"""One stack of this checkout: its state folder, its settings, its runtime and its pipeline."""

import json
from pathlib import Path

from apps import datasets
from apps.common.errors import BatonError
from apps.orchestrator.embedded import EmbeddedOrchestrator
from stack import services
from stack.console import step
from stack.embedded.runtime import EmbeddedRuntime
from stack.pipeline import Pipeline

ROOT = Path(__file__).parent.parent


class Session:
    """A stack in ``state``; a second one cannot run beside it, because the ports are the same."""

    def __init__(self, state: Path) -> None:
        """``state`` holds everything the stack writes."""
        self.state = state
        self.ready_after: dict[str, float] = {}  # service -> seconds, of the last up
        self._settings_file = state / "settings.json"

    @property
    def settings(self) -> dict[str, str]:
        """What ``up`` was told, as the apps' variables."""
        if not self._settings_file.exists():
            return {}
        settings: dict[str, str] = json.loads(self._settings_file.read_text())
        return settings

    @property
    def runtime(self) -> EmbeddedRuntime:
        """The runtime of this stack."""
        return EmbeddedRuntime(self.state, self.settings)

    def running(self) -> bool:
        """Whether any process of this stack is alive."""
        return bool(self.runtime.processes())

    def environment(self) -> dict[str, str]:
        """The environment of an app of this stack."""
        return self.runtime.environment()

    def up(self, dataset: str, source: Path | None, **settings: str) -> None:
        """Start everything and wait until it is ready; a stack that runs already must be for the same dataset."""
        datasets.get(dataset)
        if source is not None and not source.is_file():
            raise BatonError(f"--source must be a CSV file; got {source}; check the path")
        wanted = {"BATON_DATASET": dataset, **({"BATON_SOURCE": str(source.resolve())} if source else {}), **settings}
        if self.running() and self.settings != wanted:
            raise BatonError(f"a stack runs with {self.settings}; got {wanted}; run ./baton down first")
        self.state.mkdir(parents=True, exist_ok=True)
        self._settings_file.write_text(json.dumps(wanted))
        stack = services.load()
        with step("stack up") as shown:
            self.ready_after = {}

            def report(service: str, state: str, seconds: float) -> None:
                if state == "ready":
                    self.ready_after.setdefault(service, seconds)
                shown.update(f"{len(self.ready_after)} ready: {', '.join(self.ready_after)}")

            self.runtime.up(stack.services, report)

    def pipeline(self) -> Pipeline:
        """The verbs of the loop on this stack, which must run."""
        if not self.running():
            raise BatonError("the stack must be up; it is down; run ./baton up")
        return Pipeline(self.environment(), EmbeddedOrchestrator(self.state), self.state / "logs")
