"""The runtime port: starts and ends services, whatever runs them. Adapters: embedded (processes), cluster (kind)."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from apps.common.hdfs import Hdfs
from apps.orchestrator.port import Orchestrator
from stack.preflight import Check
from stack.services import Service

GONE = "its process is gone"  # the error of a service that ended while nobody was there to write it down
UP_STATES = ("ready", "running", "scheduled")  # nothing more is to be waited for


@dataclass(frozen=True)
class ServiceStatus:
    """
    One service as it is now.

    ``state`` is a word of the adapter, "ready" in both; ``instances`` are process numbers or names of pods, none when
    nothing of the service runs; ``error`` says what keeps a service that is not up, as far as it is known.
    """

    service: str
    state: str
    instances: tuple[str, ...] = ()
    restarts: int = 0
    error: str = ""

    @property
    def is_up(self) -> bool:
        """Whether nothing more is to be waited for."""
        return self.state in UP_STATES


def late(statuses: Iterable[ServiceStatus]) -> list[ServiceStatus]:
    """What is not up; those that only wait for others are left out, unless there is nothing else."""
    missing = [status for status in statuses if not status.is_up]
    return [status for status in missing if status.state != "waiting"] or missing


Report = Callable[[ServiceStatus, float], None]  # a service as it is now, and the seconds since ``up`` began


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


@dataclass(frozen=True)
class RunningStack:
    """What a person on this machine works with while a stack runs."""

    environment: Mapping[str, str]  # the whole environment of an app that runs here
    orchestrator: Orchestrator
    apps: Apps


class Runtime(Protocol):
    """
    Four verbs (up, down, address, collect_logs), and what is asked about their outcome.

    Each verb may be called again and changes nothing the second time. No adapter prints: docs/decisions/0004.
    """

    def up(self, services: Sequence[Service], report: Report) -> None:
        """
        Start ``services`` and return when each is ready; a service that runs already stays as it is.

        ``report`` is called for each service at each look, a few times a second, and for a pseudo-service that stands
        for the machine itself. Raises BatonError that names what is not ready and shows its last log lines.
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

    def check(self) -> list[Check]:
        """What this machine must have, and whether it has."""

    def status(self) -> list[ServiceStatus]:
        """Each service as it is now."""

    def logs(self, service: str, lines: int, *, follow: bool) -> Iterator[tuple[str, str]]:
        """
        The newest ``lines`` of a service's log, or of every log when ``service`` is empty: (service, line) each.

        With ``follow`` it waits for more, and ends only with its reader. Raises BatonError for an unknown service.
        """

    def environment(self) -> dict[str, str]:
        """The whole environment of an app that runs on this machine; nothing need run."""

    def attach(self) -> RunningStack:
        """The running stack; raises BatonError when nothing answers."""
