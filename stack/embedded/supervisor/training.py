"""
The trainer under supervision: it runs when a training was asked for, one at a time, behind everything else.

What came of it is its exit code. Of a trainer that outlived its supervisor nobody learns it, so such a training counts
as one that could not be done; the watcher asks again, and the trainer finds its own work done.
"""

import math
import shutil
import sys
import time
from collections.abc import Mapping
from dataclasses import replace

from apps.common.exit_codes import DONE, Outcome
from apps.common.settings import variable
from apps.orchestrator.embedded import EmbeddedOrchestrator, TrainingRequest
from apps.orchestrator.port import TrainingState
from apps.trainer.settings import TrainerSettings
from stack.embedded.process import Child, Identity
from stack.embedded.services.spec import StackContext
from stack.embedded.supervisor.ending import UNSEEN, Ending, crash, ending
from stack.embedded.supervisor.state import ServiceRecord, ServiceState
from stack.environment import ROOT
from stack.logs import size_of
from stack.services import Service

BEHIND = ("nice", "-n", "15")  # serving comes first
DEADLINE = "training_deadline_s"


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
        self._log = context.log(service.name)
        self._log_start = 0
        self._deadline_s = _deadline_s(environment)
        self._overdue = math.inf  # by the clock that nobody sets

    def adopt(self, record: ServiceRecord) -> None:
        """Take over the trainer of the supervisor before."""
        self.record = replace(self.record, restarts=record.restarts, error=record.error)
        self.reconcile()

    def reconcile(self) -> None:
        """Bring the training that is marked as running in line with what runs; one without a trainer has failed."""
        running = self._orchestrator.running_training()
        if running is None:
            return
        known = Identity(running.pid, running.created) if running.pid and running.created else None
        self.child = Child.adopt(known) if known else None
        if self.child:
            self._runs(self.child, running)
        else:
            self._orchestrator.fail_training(running.content_hash, Outcome.COULD_NOT, UNSEEN)

    def advance(self, ready: set[str]) -> None:
        """Start what was asked for; write down what has ended."""
        unwell = set(self._service.needs) - ready
        if self.child:
            if not self.child.alive():
                self._finish(self.child, unwell)
            elif time.monotonic() > self._overdue:
                self.child.kill()
                self._fail(crash(f"it must end within {self._deadline_s} s; it did not", unwell))
            return
        if unwell:
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
        variables = {
            **self._environment,
            "BATON_BATCH": request.batch,
            "BATON_CONTENT_HASH": request.content_hash,
            "BATON_SCRATCH": str(scratch),
        }
        command = [*BEHIND, sys.executable, "-m", self._service.module]
        self._log_start = size_of(self._log)
        self.child = Child.start(command, self._context.marked(variables), self._log, ROOT)
        identity = self.child.identity
        self._orchestrator.mark_training(
            request.content_hash, TrainingState.RUNNING, pid=identity.pid, created=identity.created
        )
        self._runs(self.child, request)

    def _runs(self, child: Child, request: TrainingRequest) -> None:
        self._request = request
        self._overdue = time.monotonic() + self._deadline_s - child.identity.age_s()
        self._enter(ServiceState.RUNNING)

    def _finish(self, child: Child, unwell: set[str]) -> None:
        code = child.exit_code
        child.kill()  # what it started outlives it otherwise
        if code != DONE:
            self._fail(ending(code, self._log, self._log_start, unwell))
            return
        if self._request:
            self._orchestrator.mark_training(self._request.content_hash, TrainingState.SUCCEEDED)
        self._leave(restarts=0, error="")

    def _fail(self, how: Ending) -> None:
        if self._request:
            self._orchestrator.fail_training(self._request.content_hash, how.outcome, how.reason)
        refused = how.outcome is Outcome.REFUSED  # the trainer has done its work
        self._leave(restarts=0 if refused else 1, error="" if refused else how.reason)

    def _leave(self, restarts: int, error: str) -> None:
        self.record = replace(self.record, restarts=self.record.restarts + restarts, error=error)
        self.child = self._request = None
        self._enter(ServiceState.READY)

    def _enter(self, state: ServiceState) -> None:
        identity = self.child.identity if self.child else None
        pid = identity.pid if identity else None
        if state is not self.record.state or pid != self.record.pid:
            created = identity.created if identity else None
            self.record = replace(self.record, state=state, since=time.time(), pid=pid, created=created)


def _deadline_s(environment: Mapping[str, str]) -> int:
    """How long a training may take: what the apps are told, or the default."""
    return int(environment.get(variable(DEADLINE), TrainerSettings.model_fields[DEADLINE].default))
