"""The runtime port: starts and ends services, whatever runs them. Adapters: embedded (processes), cluster (kind)."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from stack.services import Service

Report = Callable[[str, str, float], None]  # service, its new state, seconds since up began


class Runtime(Protocol):
    """Four verbs; each may be called again and changes nothing the second time."""

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
