"""
``python -m stack.embedded.supervisor <state>``: keeps the services of one stack running until it is told to end.

It is built to be killed: everything it knows is on disk, and its successor takes over the processes it left.
"""

import fcntl
import os
import signal
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import psutil

from apps.common import logs
from apps.common.errors import BatonError
from apps.common.waiting import pause
from apps.orchestrator.embedded import EmbeddedOrchestrator
from stack import services
from stack.embedded.ending import end_services, end_strays
from stack.embedded.process import Child, Identity
from stack.embedded.recipe import Site
from stack.embedded.recipes import recipes
from stack.embedded.records import Record, Records, State
from stack.embedded.serving import NEXT, Serving
from stack.embedded.supervised import Supervised
from stack.embedded.training import Training
from stack.environment import app_environment, inherited
from stack.java import jars
from stack.services import Kind

NAME = "supervisor"
LOOK_EVERY_S = 0.15
PROBES = 8


class Advancing(Protocol):
    """What the loop needs of each service."""

    name: str

    def adopt(self, record: Record) -> None:
        """Take over what a supervisor before left."""

    def advance(self, ready: set[str]) -> None:
        """Take the next step."""


class Supervisor:
    """The loop over the services of one plan."""

    def __init__(self, state: Path) -> None:
        """The plan is read from ``state``."""
        self._records = Records(state)
        self._plan = self._records.plan()
        stack = services.load()
        self._site = Site(state, stack, inherited())
        environment = app_environment(stack, state, jars("spark-kafka"), self._plan.settings)
        wanted = [service for service in stack.services if service.name in self._plan.services]
        self._recipes = recipes(wanted, self._site, environment)
        pool = ThreadPoolExecutor(PROBES)
        self._supervised = [
            Supervised(service.name, service.needs, self._recipes[service.name], self._site, pool)
            for service in wanted
            if service.name in self._recipes
        ]
        orchestrator = EmbeddedOrchestrator(state)
        self._training = [
            Training(one, self._site, environment, orchestrator) for one in wanted if one.kind is Kind.JOB
        ]
        self._serving = [
            Serving(one, self._site, environment, orchestrator) for one in wanted if one.kind is Kind.SERVER
        ]
        self._own = self._own_record()
        self._written: tuple[Record, ...] = ()
        self._faults: dict[str, str] = {}
        self._log = logs.configure(NAME)

    def _own_record(self) -> Record:
        before = self._records.status().record(NAME)
        again = before is not None and before.state is not State.STOPPED
        identity = Identity.of(psutil.Process())
        restarts = before.restarts + again if before else 0
        return Record(NAME, State.READY, time.time(), restarts, pid=identity.pid, created=identity.created)

    @property
    def _all(self) -> list[Advancing]:
        return [*self._supervised, *self._training, *self._serving]

    def run(self, stopping: "Stopping") -> None:
        """Supervise until told to end."""
        self._take_over()
        while not stopping.told:
            for one in self._all:
                self._advance(one)
            self._write()
            pause(LOOK_EVERY_S)
        self._log.info("ending")
        self._end()

    def _take_over(self) -> None:
        for record in self._records.status().records:
            for one in self._all:
                if record.service in (one.name, one.name + NEXT):
                    one.adopt(record)
        for training in self._training:
            training.reconcile()
        self._write()
        end_strays(self._site.state, [child for group in self._children().values() for child in group])
        for serving in self._serving:
            serving.clean()

    def _advance(self, one: Advancing) -> None:
        ready = {record.service for record in self._snapshot() if record.state is State.READY}
        try:
            one.advance(ready)
            self._faults.pop(one.name, None)
        except Exception as error:  # noqa: BLE001 - the fault of one service is not the others'
            if self._faults.get(one.name) != repr(error):  # said once, not at each look
                self._log.error("the step failed", service=one.name, exc_info=error)
            self._faults[one.name] = repr(error)

    def _snapshot(self) -> list[Record]:
        found = [self._own, *(one.record for one in self._supervised), *(one.record for one in self._training)]
        return [*found, *(record for serving in self._serving for record in serving.records)]

    def _children(self) -> dict[str, list[Child]]:
        found = {one.name: [one.child] for one in self._supervised if one.child}
        found |= {one.name: [one.child] for one in self._training if one.child}
        return found | {one.name: one.children for one in self._serving}

    def _write(self) -> None:
        now = tuple(self._snapshot())
        for record in [one for one in now if one not in self._written]:
            self._log.info(record.state, service=record.service, pid=record.pid, error=record.error or None)
        if now != self._written:
            self._records.write_status(now, self._plan)
            self._written = now

    def _end(self) -> None:
        end_services(self._site.stack, self._children(), self._recipes)
        for training in self._training:
            training.interrupt()
        end_strays(self._site.state)
        stopped = [replace(r, state=State.STOPPED, pid=None, created=None) for r in self._snapshot()]
        self._records.write_status([one for one in stopped if not one.service.endswith(NEXT)], self._plan)


class Stopping:
    """Whether a signal asked for the end."""

    def __init__(self) -> None:
        """From now on SIGTERM and SIGINT are caught."""
        self.told = False
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._tell)

    def _tell(self, *_: object) -> None:
        self.told = True


@contextmanager
def _alone(state: Path) -> Iterator[None]:
    """Keep every other supervisor of the same state out; the kernel frees the lock however this one ends."""
    folder = Records(state).folder
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BatonError(f"one supervisor must run for {state}; got a second; it ends") from error
        yield


def main() -> int:
    """Run until told to end."""
    state = Path(sys.argv[1]).resolve()
    stopping = Stopping()
    with _alone(state):
        Supervisor(state).run(stopping)
    return 0


if __name__ == "__main__":
    code = main()
    sys.stderr.flush()
    os._exit(code)  # a thread of the pool may still wait for a probe's answer; nothing is left to be written
