"""One prediction server: a release of a version, in a folder of its own that dies with it."""

import shutil
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from apps.common.ready_file import ReadyFile, heartbeat
from apps.common.target import Target
from stack.embedded.process import Child
from stack.embedded.services.spec import StackContext
from stack.embedded.supervisor.ending import Ending, crash, ending
from stack.embedded.supervisor.rollout_rules import READY_S, Seen
from stack.embedded.supervisor.sign_of_life import SignOfLife
from stack.embedded.supervisor.state import ServiceRecord, ServiceState
from stack.environment import ROOT
from stack.logs import size_of
from stack.services import Service

READY_FILE = "ready.json"


@dataclass(frozen=True)
class Launch:
    """What every server of this stack is started from."""

    service: Service
    context: StackContext
    environment: Mapping[str, str]

    @property
    def folder(self) -> Path:
        """Where the servers' own folders are."""
        return self.context.folder("servers")

    def start(
        self, name: str, release: int, target: Target | None, before: ServiceRecord | None = None
    ) -> "ServerProcess":
        """
        Start a server of ``release``, which waits for a first version where there is no ``target``.

        ``before`` is the record of the same release, which died.
        """
        folder = self.folder / f"{release}-{time.time_ns()}"
        (folder / "scratch").mkdir(parents=True)
        variables = {
            **self.environment,
            **self.service.exposed,
            **(target.variables() if target else {}),
            "BATON_RELEASE": str(release),
            "BATON_READY_FILE": str(folder / READY_FILE),
            "BATON_SCRATCH": str(folder / "scratch"),
        }
        command = [sys.executable, "-m", self.service.module]
        log = self.context.log(self.service.name)
        log_start = size_of(log)
        child = Child.start(command, self.context.marked(variables), log, ROOT)
        record = ServiceRecord(
            name,
            ServiceState.STARTING,
            time.time(),
            restarts=before.restarts + 1 if before else 0,
            error=before.error if before else "",
            pid=child.identity.pid,
            created=child.identity.created,
            release=release,
            target=target,
            folder=str(folder),
        )
        return ServerProcess(record, child, log_start)


class ServerProcess:
    """A server that was started; it may have died since."""

    def __init__(self, record: ServiceRecord, child: Child | None, log_start: int = 0) -> None:
        """``child`` is None for a server of the supervisor before that is dead by now; ``log_start`` is in bytes."""
        self.record = record
        self._log_start = log_start
        self.child = child
        self._life = SignOfLife(heartbeat(Path(record.folder or "") / READY_FILE))

    @classmethod
    def adopt(cls, record: ServiceRecord) -> "ServerProcess":
        """Take over the server of the supervisor before, dead or alive."""
        return cls(record, Child.adopt(record.identity) if record.identity else None)

    @property
    def release(self) -> int:
        """Its release."""
        return self.record.release or 0

    @property
    def target(self) -> Target | None:
        """What it serves; None when it waits for the first version."""
        return self.record.target

    def seen(self) -> Seen:
        """How the server looks now; its record is brought up to date."""
        alive = self.child is not None and self.child.alive()
        if alive and self.record.state is ServiceState.STARTING and self._says_ready():
            self.record = replace(self.record, state=ServiceState.READY, since=time.time(), error="")
        ready = alive and self.record.state is ServiceState.READY
        return Seen(self.release, alive, ready, self._life.silent(), self.record.restarts + 1)

    def ending(self, log: Path, unwell: set[str]) -> Ending:
        """How a server ended that never got ready, or is alive and does not get ready; ``unwell`` as in ``ending``."""
        if self.child and self.child.alive():
            return crash(f"it must be ready within {READY_S} s; it was not", unwell)
        return ending(self.child.exit_code if self.child else None, log, self._log_start, unwell)

    def _says_ready(self) -> bool:
        ready = ReadyFile.read(Path(self.record.folder or "") / READY_FILE)
        return ready is not None and ready.release == self.release

    def discard(self) -> None:
        """Kill what is left of the server, and remove its folder."""
        if self.child:
            self.child.kill()
        if self.record.folder:
            shutil.rmtree(self.record.folder, ignore_errors=True)
