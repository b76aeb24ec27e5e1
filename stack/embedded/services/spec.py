"""How one service is prepared, started, asked whether it is ready, and ended."""

import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from apps.common.errors import BatonError
from apps.common.names import DEFAULT_STACK
from stack.embedded.process import MARK
from stack.environment import ROOT
from stack.services import Service, StackSpec

PREPARE_S = 120
# Linux's name for the folder in which a process runs: for a program that takes a % in a path for something else.
HERE = next((path for path in [Path("/proc/self/cwd")] if path.exists()), Path())


@dataclass(frozen=True)
class StackContext:
    """
    Where one stack lives: its state folder, what stack.yaml says, and the environment its processes start from.

    ``name`` is the stack's on its platform.
    """

    state: Path
    stack: StackSpec
    environment: Mapping[str, str]
    name: str = DEFAULT_STACK

    def folder(self, name: str) -> Path:
        """A folder of the state, made when it is not there."""
        path = self.state / name
        path.mkdir(parents=True, exist_ok=True)
        return path

    def service(self, name: str) -> Service:
        """A service of the stack."""
        return self.stack.service(name)

    def log(self, name: str) -> Path:
        """The log file of a service."""
        return self.folder("logs") / f"{name}.log"

    def marked(self, environment: Mapping[str, str]) -> dict[str, str]:
        """The full environment of a process of this stack."""
        return {**self.environment, **environment, MARK: str(self.state)}

    def run(self, service: str, command: Sequence[str], folder: Path, text: str = "") -> None:
        """Run a step of a preparation in ``folder``, with ``text`` to read, to its end; raise BatonError on failure."""
        with self.log(service).open("ab") as log:
            done = subprocess.run(
                command,
                env=self.marked({}),
                cwd=folder,
                input=text.encode(),
                stdout=log,
                stderr=subprocess.STDOUT,
                timeout=PREPARE_S,
                check=False,
            )
        if done.returncode:
            message = f"{service}: {command[0]} must end with 0; got {done.returncode}; see its log"
            raise BatonError(message)


def _nothing() -> None:
    """Most services need no preparation."""


@dataclass(frozen=True)
class ProcessSpec:
    """
    What the supervisor needs to know of a service.

    ``prepare`` may be killed anywhere and run again. The service is ready when it has written ``says`` to its log and
    ``probe`` returns; ``probe`` raises when it is not ready yet. A service that is well touches ``sign_of_life`` again
    and again, where it is a file. ``stop_signal`` asks it to end; after ``grace_s`` it is killed. It runs in
    ``folder``: a path in a file of settings is given from there, since what a program makes of a blank, a comma or a
    letter with an accent in such a path differs from one to the next.
    """

    command: Callable[[], list[str]]
    folder: Path = ROOT
    says: str = ""
    probe: Callable[[], None] = _nothing
    prepare: Callable[[], None] = _nothing
    environment: Mapping[str, str] = field(default_factory=dict)
    sign_of_life: Path | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    grace_s: float = 10
