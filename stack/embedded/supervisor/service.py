"""
One service under supervision: a small state machine that takes its next step a few times a second.

No step waits: preparations and probes run in a pool of threads, and the machine looks whether they are done.
"""

import time
from concurrent.futures import Executor, Future
from dataclasses import replace
from enum import Enum, auto
from pathlib import Path

import requests

from apps.common.errors import BatonError, Unavailable
from stack.embedded.process import Child
from stack.embedded.services.spec import ProcessSpec, StackContext
from stack.embedded.supervisor.backoff import Backoff
from stack.embedded.supervisor.sign_of_life import SignOfLife
from stack.embedded.supervisor.state import ServiceRecord, ServiceState
from stack.logs import search, size_of, worst_line

START_S = 120  # a service that is not ready by then hangs, and is started again
SILENT_S = 120  # one that gives no sign of life for so long hangs; a broker that is away costs it a minute
PROBE_EVERY_S = 0.3
ERROR_KEPT = 300  # characters


class NextStep(Enum):
    """What to do next."""

    NOTHING = auto()
    PREPARE = auto()
    LAUNCH = auto()
    PROBE = auto()
    MARK_READY = auto()
    CRASH = auto()


def next_step(  # noqa: PLR0911 - rules, the first one holds
    state: ServiceState, *, needs_ready: bool, due: bool, alive: bool, task: bool | None, waited: float, silent: float
) -> NextStep:
    """
    Decide on a service in ``state``.

    ``due``: the time for another try or probe has come. ``task``: how its preparation or probe ended; None while it
    is under way or was never begun. ``waited``: seconds since the service was started; ``silent``: since its last sign
    of life, where it gives any.
    """
    if state in (ServiceState.WAITING, ServiceState.CRASHED):
        return NextStep.PREPARE if needs_ready and due else NextStep.NOTHING
    if state is ServiceState.PREPARING:
        return {None: NextStep.NOTHING, True: NextStep.LAUNCH, False: NextStep.CRASH}[task]
    if state in (ServiceState.STARTING, ServiceState.READY) and not alive:
        return NextStep.CRASH
    if state is ServiceState.STARTING:
        if task:
            return NextStep.MARK_READY
        if waited > START_S:
            return NextStep.CRASH
        return NextStep.PROBE if due else NextStep.NOTHING
    return NextStep.CRASH if state is ServiceState.READY and silent > SILENT_S else NextStep.NOTHING


def error_text(error: BaseException) -> str:
    """What a person is to read of a failed probe; the texts of HTTP clients tell of sockets and not of the service."""
    if isinstance(error, requests.RequestException) and error.request is not None:
        address = str(error.request.url).partition("?")[0]
        if isinstance(error, requests.Timeout):
            return f"no answer in time from {address}"
        if isinstance(error, requests.ConnectionError):
            return f"no connection to {address}"
    return str(error).strip()


class SupervisedService:
    """A service that shall always run."""

    def __init__(
        self, name: str, needs: tuple[str, ...], spec: ProcessSpec, context: StackContext, pool: Executor
    ) -> None:
        """It waits for ``needs`` before each start."""
        self.name = name
        self.needs = needs
        self.spec = spec
        self.context = context
        self.child: Child | None = None
        self.record = ServiceRecord(name, ServiceState.WAITING, time.time())
        self._pool = pool
        self._task: Future[None] | None = None
        self._log_start = 0
        self._backoff = Backoff()
        self._due = 0.0
        self._began = 0.0
        self._life: SignOfLife | None = None

    @property
    def log(self) -> Path:
        """Its log file."""
        return self.context.log(self.name)

    def adopt(self, record: ServiceRecord) -> None:
        """Take over the process of the supervisor before, if it lives; it is probed anew."""
        self.record = replace(self.record, restarts=record.restarts)
        child = Child.adopt(record.identity) if record.identity else None
        if child:
            self._runs(child)

    def advance(self, ready: set[str]) -> None:
        """Take the next step; ``ready`` are the names of the services that are."""
        now = time.monotonic()
        step = next_step(
            self.record.state,
            needs_ready=set(self.needs) <= ready,
            due=now >= self._due and (self._task is None or self._task.done()),
            alive=self.child is not None and self.child.alive(),
            task=self._outcome(),
            waited=now - self._began,
            silent=self._life.silent() if self._life else 0.0,
        )
        match step:
            case NextStep.PREPARE:
                self._prepare()
            case NextStep.LAUNCH:
                self._launch()
            case NextStep.PROBE:
                self._probe()
            case NextStep.MARK_READY:
                self._mark_ready()
            case NextStep.CRASH:
                self._crash()
            case NextStep.NOTHING:
                pass

    def _outcome(self) -> bool | None:
        if self._task is None or not self._task.done():
            return None
        return self._task.exception() is None

    def _error(self) -> str:
        failed = self._task.exception() if self._task and self._task.done() else None
        return error_text(failed)[:ERROR_KEPT] if failed else ""

    def _enter(self, state: ServiceState, error: str | None = None) -> None:
        identity = self.child.identity if self.child else None
        self.record = replace(
            self.record,
            state=state,
            since=time.time(),
            error=self.record.error if error is None else error,
            pid=identity.pid if identity else None,
            created=identity.created if identity else None,
        )

    def _prepare(self) -> None:
        self._task = self._pool.submit(self.spec.prepare)
        self._enter(ServiceState.PREPARING)

    def _launch(self) -> None:
        environment = self.context.marked(self.spec.environment)
        self._log_start = size_of(self.log)
        try:
            self._runs(Child.start(self.spec.command(), environment, self.log, self.spec.folder))
        except (BatonError, OSError) as error:
            self._crash(str(error))

    def _runs(self, child: Child) -> None:
        self.child, self._task = child, None
        self._began = time.monotonic()
        self._life = SignOfLife(self.spec.sign_of_life) if self.spec.sign_of_life else None
        self._due = 0.0
        self._enter(ServiceState.STARTING)

    def _probe(self) -> None:
        if (answer := self._error()) and answer != self.record.error:
            self.record = replace(self.record, error=answer)
        self._due = time.monotonic() + PROBE_EVERY_S
        self._task = self._pool.submit(self._ask)

    def _ask(self) -> None:
        """Runs in the pool."""
        if self.spec.says:
            said, self._log_start = search(self.log, self._log_start, self.spec.says)
            if not said:
                raise Unavailable(f"the log must say {self.spec.says!r}; it does not yet; wait")
        self.spec.probe()

    def _mark_ready(self) -> None:
        self._task = None
        self._enter(ServiceState.READY, error="")

    def _crash(self, error: str = "") -> None:
        healthy = time.time() - self.record.since if self.record.state is ServiceState.READY else 0.0
        error = error or self._error()
        if self.child:
            self.child.kill()  # what it started outlives it otherwise, and holds its port
            error = worst_line(self.log) or error
        self.child, self._task = None, None
        self.record = replace(self.record, restarts=self.record.restarts + 1)
        self._due = time.monotonic() + self._backoff.after_crash(healthy)
        self._enter(ServiceState.CRASHED, error=error)
