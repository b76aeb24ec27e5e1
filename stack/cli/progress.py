"""How an ``up`` gets on: a line for each change of a service, and soon a line about what does not move."""

from collections.abc import Callable, Collection

from rich.text import Text

from stack.cli.console import StepLine, err
from stack.runtime import ServiceStatus

STILL_S = 10  # without any change, before the services that are waited for are named
ERROR_SHOWN = 200
BORING = ("waiting", "absent", "stopped")  # states that say no more than that it is not its turn yet
TRYING = ("preparing", "starting")  # states whose error is of the try before


class Progress:
    """The report callback of ``Runtime.up``; ``ready_after`` holds the seconds after which each service was ready."""

    def __init__(
        self, step: StepLine, services: Collection[str], log_of: Callable[[str], str], *, quiet: bool = False
    ) -> None:
        """
        ``services`` are those that can get ready; ``log_of`` says where the log of one is read.

        ``quiet`` leaves out the changes, never what does not move.
        """
        self.ready_after: dict[str, float] = {}
        self._step = step
        self._services = services
        self._log_of = log_of
        self._quiet = quiet
        self._known: dict[str, ServiceStatus] = {}
        self._since: dict[str, float] = {}  # the second at which a service entered its state
        self._last_line = 0.0

    def report(self, status: ServiceStatus, seconds: float) -> None:
        """Take one look at one service, ``seconds`` after ``up`` began."""
        before = self._known.get(status.service)
        self._known[status.service] = status
        if before is None or before.state != status.state:
            self._since[status.service] = self._last_line = seconds
            self._changed(status, seconds)
        self._step.update(self._summary(seconds))
        if seconds - self._last_line >= STILL_S and (late := self.late(seconds)):
            self._last_line = seconds
            err.print(Text(f"{seconds:6.1f} s  still waiting for {'; '.join(late)}"))

    def late(self, seconds: float) -> list[str]:
        """What is waited for, with its state, its seconds in it and its last error."""
        late = [status for name, status in self._known.items() if name in self._services and not status.is_up]
        active = [status for status in late if status.state not in BORING] or late
        return [self._describe(status, seconds) for status in active]

    def _describe(self, status: ServiceStatus, seconds: float) -> str:
        error = status.error[:ERROR_SHOWN] or "; ".join(filter(None, ("no error", self._log_of(status.service))))
        return f"{status.service} ({status.state} {seconds - self._since[status.service]:.0f} s): {error}"

    def _changed(self, status: ServiceStatus, seconds: float) -> None:
        if status.is_up and status.service in self._services:
            self.ready_after.setdefault(status.service, seconds)
        crashed = status.error and status.state not in TRYING and not status.is_up
        if status.state in BORING or (self._quiet and not crashed):
            return
        error = f"  {status.error[:ERROR_SHOWN]}" if crashed else ""
        err.print(Text(f"{seconds:6.1f} s  {status.service:18} {status.state}{error}"))

    def _summary(self, seconds: float) -> str:
        notes = [status.state for name, status in self._known.items() if name not in self._services]
        ready = f"{len(self.ready_after)} of {len(self._services)} ready"
        late = [part.partition(":")[0] for part in self.late(seconds)]
        return "; ".join([*notes[-1:], ready, *late[:2]]) if late or notes else ready
