"""
The prediction server under supervision: the release that serves, the next one beside it, and the ones that leave.

Killed anywhere, the supervisor's successor goes on from the records and from what the orchestrator's files say.
"""

import shutil
import signal
import time
from collections.abc import Mapping
from dataclasses import replace

from apps.orchestrator.embedded import EmbeddedOrchestrator
from apps.orchestrator.port import Release, ReleaseState
from stack.embedded.process import Child
from stack.embedded.services.spec import StackContext
from stack.embedded.supervisor.backoff import Backoff
from stack.embedded.supervisor.rollout_rules import Action, next_action
from stack.embedded.supervisor.server import Launch, ServerProcess
from stack.embedded.supervisor.state import ServiceRecord, ServiceState
from stack.logs import worst_line
from stack.services import Service

NEXT = "-next"
LEAVE_S = 2  # its answers are safe in Kafka, so a server may be ended hard


class Rollout:
    """The server, as one service to the outside."""

    def __init__(
        self,
        service: Service,
        context: StackContext,
        environment: Mapping[str, str],
        orchestrator: EmbeddedOrchestrator,
    ) -> None:
        """``environment`` is every app's."""
        self.name = service.name
        self._service = service
        self._launch = Launch(service, context, environment)
        self._log = context.log(service.name)
        self._orchestrator = orchestrator
        self._waiting = ServiceRecord(self.name, ServiceState.WAITING, time.time())
        self._serving: ServerProcess | None = None
        self._next: ServerProcess | None = None
        self._leaving: list[tuple[ServerProcess, float]] = []
        self._backoff = Backoff()
        self._due = 0.0

    @property
    def records(self) -> list[ServiceRecord]:
        """The server that serves first, then the next one."""
        first = self._serving.record if self._serving else self._waiting
        return [first, self._next.record] if self._next else [first]

    @property
    def children(self) -> list[Child]:
        """Every server that may be alive."""
        servers = [self._serving, self._next, *(server for server, _ in self._leaving)]
        return [server.child for server in servers if server and server.child]

    def adopt(self, record: ServiceRecord) -> None:
        """Take over a server of the supervisor before."""
        if record.release is None:
            return
        if record.service == self.name:
            self._serving = ServerProcess.adopt(record)
        else:
            self._next = ServerProcess.adopt(record)

    def clean(self) -> None:
        """Remove the folders of servers that are long gone."""
        in_use = {record.folder for record in self.records}
        for folder in self._launch.folder.iterdir():
            if str(folder) not in in_use:
                shutil.rmtree(folder, ignore_errors=True)

    def advance(self, ready: set[str]) -> None:
        """Take the next step; no step waits for another process."""
        self._reap_leaving()
        may_start = self._service.may_start(ready)
        if not may_start and not self.children:
            return
        self._note_death()
        wanted = self._orchestrator.wanted_release()
        failure = wanted.failure if wanted else None
        action = next_action(
            self._serving.seen() if self._serving else None,
            self._next.seen() if self._next else None,
            wanted,
            due=time.monotonic() >= self._due and may_start,
            next_due=(failure is None or failure.is_due(time.time())) and may_start,
        )
        self._act(action, wanted, set(self._service.all_needs) - ready)

    def _act(self, action: Action, wanted: Release | None, unwell: set[str]) -> None:
        if action is Action.RESTART:
            self._restart()
        elif action is Action.REPLACE and self._serving:
            self._serving.discard()
        elif action is Action.BEGIN and wanted:
            self._next = self._launch.start(self.name + NEXT, wanted.release, wanted.target)
        elif self._next and action is Action.ABANDON:
            self._drop_next(self._next)
        elif self._next and action is Action.FAIL:
            self._fail(self._next, unwell)
        elif self._next and action is Action.SWITCH:
            self._switch(self._next)

    def _restart(self) -> None:
        served = self._orchestrator.served().serving
        before = self._serving
        release, target = (served.release, served.target) if served else (0, None)
        if before:
            before.discard()
        self._serving = self._launch.start(self.name, release, target, before.record if before else None)

    def _note_death(self) -> None:
        """When the server that served is found dead: say why, and when it is started again."""
        if self._serving and self._serving.record.pid and not (self._serving.child and self._serving.child.alive()):
            record = self._serving.record
            healthy = time.time() - record.since if record.state is ServiceState.READY else 0.0
            self._due = time.monotonic() + self._backoff.after_crash(healthy)
            self._serving.record = replace(
                record,
                state=ServiceState.CRASHED,
                since=time.time(),
                error=worst_line(self._log),
                pid=None,
                created=None,
            )

    def _fail(self, server: ServerProcess, unwell: set[str]) -> None:
        """Write down how the next release ended; the wish says then whether and when it is tried again."""
        how = server.ending(self._log, unwell)
        self._drop_next(server)
        self._orchestrator.fail_release(server.release, how.outcome, how.reason)

    def _drop_next(self, server: ServerProcess) -> None:
        server.discard()
        self._next = None

    def _switch(self, server: ServerProcess) -> None:
        if self._serving:
            if self._serving.child:
                self._serving.child.send(signal.SIGTERM)
            self._leaving.append((self._serving, time.monotonic() + LEAVE_S))
        if server.target:
            served = Release(server.release, server.target, ReleaseState.STARTING)
            self._orchestrator.mark_release(served, ReleaseState.SERVING)
        server.record = replace(server.record, service=self.name, restarts=0)
        self._serving, self._next = server, None
        self._backoff = Backoff()

    def _reap_leaving(self) -> None:
        for leaving in list(self._leaving):
            server, deadline = leaving
            if server.child is None or not server.child.alive() or time.monotonic() > deadline:
                server.discard()
                self._leaving.remove(leaving)
