"""
One process that the supervisor started, or finds alive from the supervisor before it.

Each runs in a session of its own: the terminal's Ctrl-C does not reach it, and whatever it starts in turn (a JVM, a
worker) can be found and ended with it, even when the process itself is gone. Each also carries the stack's state
folder in its environment, so that a process which a killed supervisor had no time to write down is found as well. What
a person's command starts (a sender, an app run by hand) carries it too, beside a word that tells it apart.
"""

import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

MARK = "BATON_STARTED_BY"
BY_HAND = "BATON_STARTED_BY_HAND"


PROC = Path("/proc")
BOOT = PROC / "sys/kernel/random/boot_id"
START_TICKS = 22 - 3  # its place in /proc/<pid>/stat, counted from behind the name, which may hold anything


@dataclass(frozen=True)
class Identity:
    """A process, safe against its number being given to another one later; ``created`` stays while it lives."""

    pid: int
    created: float

    @classmethod
    def of(cls, process: psutil.Process) -> "Identity":
        """The identity of a process; raise psutil.NoSuchProcess when it is gone."""
        return cls(process.pid, _created(process))

    def process(self) -> psutil.Process | None:
        """The process, if it lives."""
        with suppress(psutil.Error):
            process = psutil.Process(self.pid)
            if _created(process) == self.created and process.status() != psutil.STATUS_ZOMBIE:
                return process
        return None

    def age_s(self) -> float:
        """Seconds since it was started; 0 when it is gone."""
        process = self.process()
        return max(0.0, time.time() - process.create_time()) if process else 0.0


def _created(process: psutil.Process) -> float:
    """
    When a process was started, as a number that no clock moves.

    On Linux it is what the kernel wrote down, the ticks since the machine was booted, and which boot that was behind
    the point. The time of day, as psutil gives it, is computed from today's clock there: it is another one when the
    clock was set meanwhile.
    """
    if not BOOT.exists():
        return process.create_time()
    try:
        _, _, fields = (PROC / str(process.pid) / "stat").read_bytes().rpartition(b") ")
    except OSError as error:
        raise psutil.NoSuchProcess(process.pid) from error
    return int(fields.split()[START_TICKS]) + int(BOOT.read_text()[:6], 16) / 16**6


class Child:
    """A process in its own session; adopted ones have no exit code, because only a parent gets it."""

    def __init__(self, identity: Identity, started: subprocess.Popen[bytes] | None = None) -> None:
        """Use ``start`` or ``adopt``."""
        self.identity = identity
        self._started = started

    @classmethod
    def start(cls, command: Sequence[str], environment: Mapping[str, str], log: Path, folder: Path) -> "Child":
        """Start ``command`` in ``folder``; what it prints is appended to ``log``."""
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as out:
            started = subprocess.Popen(
                command,
                env=dict(environment),
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return cls(Identity.of(psutil.Process(started.pid)), started)

    @classmethod
    def adopt(cls, identity: Identity) -> "Child | None":
        """Take over a process that another supervisor started, if it lives."""
        return cls(identity) if identity.process() else None

    @property
    def pid(self) -> int:
        """Its number."""
        return self.identity.pid

    def alive(self) -> bool:
        """Whether it runs."""
        if self._started is not None:
            return self._started.poll() is None
        return self.identity.process() is not None

    @property
    def exit_code(self) -> int | None:
        """How it ended; None while it runs, and for an adopted process."""
        return self._started.poll() if self._started else None

    def members(self) -> list[psutil.Process]:
        """It and all that lives in its session, or below it."""
        leader = self.identity.process()
        if leader is None and psutil.pid_exists(self.pid) and not _has_ended(self.pid):
            return []  # the number belongs to a stranger now
        members = {process.pid: process for process in _session(self.pid)}
        if leader:
            with suppress(psutil.Error):
                members |= {process.pid: process for process in [leader, *leader.children(recursive=True)]}
        return [process for pid, process in members.items() if not _has_ended(pid)]

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the process itself."""
        if process := self.identity.process():
            with suppress(psutil.Error):
                process.send_signal(number)

    def kill(self) -> None:
        """End it and all that it started, at once."""
        for process in self.members():
            with suppress(psutil.Error):
                process.kill()
        if self._started is not None:
            with suppress(subprocess.TimeoutExpired):
                self._started.wait(5)


def _has_ended(pid: int) -> bool:
    """Whether all that is left of a process is its exit code."""
    with suppress(psutil.Error):
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    return False


def _session(number: int) -> Iterator[psutil.Process]:
    for pid in psutil.pids():
        with suppress(OSError, psutil.Error):
            if os.getsid(pid) == number:
                yield psutil.Process(pid)


def marked(state: Path, *, by_hand: bool = True) -> list[psutil.Process]:
    """Every process that carries the mark of the stack in ``state``, or only the supervised; whoever the parent."""
    processes = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            environment = process.environ()
            own = environment.get(MARK) == str(state) and (by_hand or BY_HAND not in environment)
            if own and process.status() != psutil.STATUS_ZOMBIE:
                processes.append(process)
    return processes
