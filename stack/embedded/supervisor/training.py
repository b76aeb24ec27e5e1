"""
The trainer under supervision: it runs when a training was asked for, one at a time, behind everything else.

What came of it is its exit code. Of a trainer that outlived its supervisor nobody learns it, so such a training counts
as failed; the watcher asks again if the batch is still in ``landing/``, and the trainer finds its own work done.
"""

import shutil
import sys
import time
from collections.abc import Mapping
from dataclasses import replace

from apps.orchestrator.embedded import EmbeddedOrchestrator, TrainingRequest
from apps.orchestrator.port import TrainingState
from stack.embedded.process import Child, Identity
from stack.embedded.services.spec import StackContext
from stack.embedded.supervisor.state import ServiceRecord, ServiceState
from stack.environment import ROOT
from stack.logs import worst_line
from stack.services import Service

BEHIND = ("nice", "-n", "15")  # serving comes first


class TrainerProcess:
    """At most one trainer."""

    def __init__(
        self,
        service: Service,
        context: StackContext,
        environment: Mapping[str, str],
        orchestrator: EmbeddedOrchestrator,
    ) -> None:
        """``environment`` is every app's."""
        self.name = service.name
        self.child: Child | None = None
        self.record = ServiceRecord(service.name, ServiceState.WAITING, time.time())
        self._service = service
        self._context = context
        self._environment = environment
        self._orchestrator = orchestrator
        self._request: TrainingRequest | None = None

    def adopt(self, record: ServiceRecord) -> None:
        """Take over the trainer of the supervisor before; the training of a trainer that is gone failed."""
        self.record = replace(self.record, restarts=record.restarts, error=record.error)
        self.reconcile()

    def reconcile(self) -> None:
        """Bring the training that is marked as running in line with what runs."""
        running = self._orchestrator.running_training()
        if running is None:
            return
        known = Identity(running.pid, running.created) if running.pid and running.created else None
        self.child = Child.adopt(known) if known else None
        if self.child:
            self._request = running
            self._enter(ServiceState.RUNNING)
        else:
            self._orchestrator.mark_training(running.content_hash, TrainingState.FAILED)

    def advance(self, ready: set[str]) -> None:
        """Start what was asked for; write down what has ended."""
        if self.child:
            if not self.child.alive():
                self._finish(self.child)
            return
        if not set(self._service.needs) <= ready:
            self._enter(ServiceState.WAITING)
        elif request := self._orchestrator.pending_training():
            self._start(request)
        else:
            self._enter(ServiceState.READY)

    def interrupt(self) -> None:
        """After its process was stopped on purpose: ask for the training again; that attempt is not counted."""
        if self._request and self.child:
            self._orchestrator.mark_training(self._request.content_hash, TrainingState.REQUESTED)
        self.child = self._request = None

    def _start(self, request: TrainingRequest) -> None:
        scratch = self._context.folder("scratch") / "trainer"
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir()
        variables = {**self._environment, "BATON_BATCH": request.batch, "BATON_SCRATCH": str(scratch)}
        command = [*BEHIND, sys.executable, "-m", self._service.module]
        self.child = Child.start(command, self._context.marked(variables), self._context.log(self.name), ROOT)
        self._request = request
        identity = self.child.identity
        self._orchestrator.mark_training(
            request.content_hash, TrainingState.RUNNING, pid=identity.pid, created=identity.created
        )
        self._enter(ServiceState.RUNNING)

    def _finish(self, child: Child) -> None:
        code = child.exit_code
        child.kill()
        good = code == 0
        if self._request:
            state = TrainingState.SUCCEEDED if good else TrainingState.FAILED
            self._orchestrator.mark_training(self._request.content_hash, state, exit_code=code)
        error = "" if good else worst_line(self._context.log(self.name))
        self.record = replace(self.record, restarts=self.record.restarts + (not good), error=error)
        self.child = self._request = None
        self._enter(ServiceState.READY)

    def _enter(self, state: ServiceState) -> None:
        identity = self.child.identity if self.child else None
        pid = identity.pid if identity else None
        if state is not self.record.state or pid != self.record.pid:
            created = identity.created if identity else None
            self.record = replace(self.record, state=state, since=time.time(), pid=pid, created=created)
