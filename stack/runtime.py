"""The runtime port: starts and ends services, whatever runs them. Adapters: embedded (processes), cluster (kind)."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from apps.common.hdfs import Hdfs
from apps.orchestrator.port import Orchestrator
from stack.preflight import Check
from stack.services import Service

Report = Callable[[str, str, float], None]  # service, its new state, seconds since up began


class Runtime(Protocol):
    """
    Four verbs; each may be called again and changes nothing the second time.

    What follows them is what the CLI and the pipeline ask beside: docs/decisions/0004.
    """

    def up(self, services: Sequence[Service], report: Report) -> None:
        """
        Start ``services`` and return when each is ready; what runs already is left as it is.

        Raises BatonError that names what is not ready and shows its last log lines.
        """

    def down(self) -> None:
        """End everything that ``up`` started, and nothing else; data stays. Raises BatonError if something lives."""

    def address(self, service: str) -> str:
        """Where a client on this machine finds a service; it need not run."""

    def collect_logs(self, folder: Path) -> None:
        """Copy what is known of each service into ``folder``; works when nothing runs."""

    def running(self) -> bool:
        """Whether anything of the stack runs."""

    def has_data(self) -> bool:
        """Whether there is anything for ``wipe`` to remove."""

    def wipe(self) -> None:
        """Remove all data; the stack must be down, or it goes down first."""

    def status(self) -> list[dict[str, Any]]:
        """Each service as it is now: ``service``, ``state``, ``pid`` (a process or pod), ``restarts``."""

    def environment(self) -> dict[str, str]:
        """The whole environment of an app that runs on this machine."""

    def check(self) -> list[Check]:
        """What this machine must have, and whether it has."""

    def show_logs(self, service: str, lines: int, *, follow: bool) -> None:
        """Print the newest lines that a service logged, or every one of them; go on until Ctrl-C with ``follow``."""

    def orchestrator(self) -> Orchestrator:
        """The orchestrator port's adapter for this machine."""

    def apps(self) -> "Apps":
        """Where an app is run by hand."""


class Apps(Protocol):
    """Runs an app to its end when a person or a test asks for it."""

    def run(self, app: str, settings: Mapping[str, str]) -> str:
        """
        Run ``python -m apps.<app>`` with more variables; return what it printed.

        Raises BatonError with its last lines when it fails.
        """

    def tick(self, watcher: str) -> None:
        """One tick of ``new-data-watcher`` or ``new-model-watcher``."""

    def bring(self, file: Path) -> str:
        """Make a file of this machine readable for the apps; return its path there."""

    def files(self) -> Hdfs:
        """HDFS, as this machine reaches it."""
