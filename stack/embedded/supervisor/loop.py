"""
The supervisor: keeps the services of one stack running until it is asked to end.

It is built to be killed: everything it knows is on disk, and its successor takes over the processes it left.
"""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import psutil

from apps.common import logs
from apps.common.waiting import pause
from apps.orchestrator.embedded import EmbeddedOrchestrator
from stack import services
from stack.embedded.class_archive import ClassArchive, told
from stack.embedded.process import Child, Identity
from stack.embedded.services.catalogue import specs
from stack.embedded.services.spec import StackContext
from stack.embedded.supervisor.rollout import NEXT, Rollout
from stack.embedded.supervisor.service import SupervisedService
from stack.embedded.supervisor.shutdown import end_services, end_strays
from stack.embedded.supervisor.state import NAME, ServiceRecord, ServiceState, SupervisorRecords
from stack.embedded.supervisor.training import TrainerProcess
from stack.environment import app_environment, inherited
from stack.java import jars
from stack.logs import bound
from stack.services import ServiceKind

LOOK_EVERY_S = 0.15
BOUND_LOGS_EVERY_S = 10
PROBES = 8


class Advancing(Protocol):
    """What the loop needs of all that it runs."""

    name: str

    def advance(self, ready: set[str]) -> None:
        """Take the next step."""


class Adopting(Advancing, Protocol):
    """And of each service."""

    def adopt(self, record: ServiceRecord) -> None:
        """Take over what a supervisor before left."""


class Supervisor:
    """The loop over the services of one plan."""

    def __init__(self, state: Path) -> None:
        """The plan is read from ``state``."""
        self._records = SupervisorRecords(state)
        self._plan = self._records.plan()
        stack = services.own(self._plan.settings)
        environment = app_environment(services.load(), state, jars("spark-kafka"), told() | self._plan.settings)
        self._context = StackContext(state, stack, inherited(), environment["BATON_STACK"])
        planned = [service for service in stack.services if service.name in self._plan.services]
        self._specs = specs(planned, self._context, environment)
        pool = ThreadPoolExecutor(PROBES)
        self._supervised = [
            SupervisedService(service.name, service.needs, self._specs[service.name], self._context, pool)
            for service in planned
            if service.name in self._specs
        ]
        orchestrator = EmbeddedOrchestrator(state)
        self._training = [
            TrainerProcess(service, self._context, environment, orchestrator)
            for service in planned
            if service.kind is ServiceKind.JOB
        ]
        self._serving = [
            Rollout(service, self._context, environment, orchestrator)
            for service in planned
            if service.kind is ServiceKind.SERVER
        ]
        self._own = self._own_record()
        self._written: tuple[ServiceRecord, ...] = ()
        self._faults: dict[str, str] = {}
        self._logs_bounded = time.monotonic()
        self._log = logs.configure(NAME)
        self._behind: list[Advancing] = []
        if self._serving:
            self._behind.append(ClassArchive(self._context, environment, self._is_quiet, self._log))

    def _own_record(self) -> ServiceRecord:
        before = self._records.status().record(NAME)
        again = before is not None and before.state is not ServiceState.STOPPED
        identity = Identity.of(psutil.Process())
        restarts = before.restarts + again if before else 0
        return ServiceRecord(
            NAME, ServiceState.READY, time.time(), restarts, pid=identity.pid, created=identity.created
        )

    @property
    def _all(self) -> list[Adopting]:
        return [*self._supervised, *self._training, *self._serving]

    def run(self, is_over: Callable[[], bool]) -> None:
        """Supervise until ``is_over``; then end every process."""
        self._take_over()
        while not is_over():
            for one in (*self._all, *self._behind):
                self._advance(one)
            self._write()
            self._bound_logs()
            pause(LOOK_EVERY_S)
        self._log.info("ending")
        self._end()

    def _take_over(self) -> None:
        for record in self._records.status().records:
            for service in self._all:
                if record.service in (service.name, service.name + NEXT):
                    service.adopt(record)
        for training in self._training:
            training.reconcile()
        self._write()
        known = [child for group in self._children().values() for child in group]
        end_strays(self._context.state, known, by_hand=False)
        for serving in self._serving:
            serving.clean()

    def _advance(self, service: Advancing) -> None:
        ready = {record.service for record in self._snapshot() if record.state is ServiceState.READY}
        try:
            service.advance(ready)
            self._faults.pop(service.name, None)
        except Exception as error:  # noqa: BLE001 - the fault of one service is not the others'
            if self._faults.get(service.name) != repr(error):  # logged once, not at each look
                self._log.error("the step failed", service=service.name, exc_info=error)
            self._faults[service.name] = repr(error)

    def _snapshot(self) -> list[ServiceRecord]:
        records = [service.record for service in self._supervised]
        records += [training.record for training in self._training]
        return [self._own, *records, *(record for serving in self._serving for record in serving.records)]

    def _is_quiet(self) -> bool:
        """Whether every service is ready, and none trains or gets ready to serve."""
        return all(record.state is ServiceState.READY for record in self._snapshot())

    def _children(self) -> dict[str, list[Child]]:
        children = {service.name: [service.child] for service in self._supervised if service.child}
        children |= {training.name: [training.child] for training in self._training if training.child}
        return children | {serving.name: serving.children for serving in self._serving}

    def _write(self) -> None:
        now = tuple(self._snapshot())
        for record in [record for record in now if record not in self._written]:
            self._log.info(record.state, service=record.service, pid=record.pid, error=record.error or None)
        if now != self._written:
            self._records.write_status(now, self._plan)
            self._written = now

    def _bound_logs(self) -> None:
        if time.monotonic() - self._logs_bounded > BOUND_LOGS_EVERY_S:
            self._logs_bounded = time.monotonic()
            with suppress(OSError):  # a full disk is no reason to end; it is tried again
                bound(self._context.folder("logs"))

    def _end(self) -> None:
        end_services(self._context.stack, self._children(), self._specs)
        for training in self._training:
            training.interrupt()
        end_strays(self._context.state)
        stopped = [replace(r, state=ServiceState.STOPPED, pid=None, created=None) for r in self._snapshot()]
        self._records.write_status([record for record in stopped if not record.service.endswith(NEXT)], self._plan)
