"""The runtime port in embedded mode: a supervisor in the background, and local processes under it."""

import shutil
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import psutil

from apps.common.errors import BatonError
from apps.common.files import remove_folder
from apps.common.waiting import pause, wait_until
from apps.orchestrator.embedded import EmbeddedOrchestrator
from stack import logs, services
from stack.embedded import doctor, foreign_kafka
from stack.embedded.class_archive import told
from stack.embedded.process import BY_HAND, MARK, Child, marked
from stack.embedded.services import kafka
from stack.embedded.services.catalogue import specs
from stack.embedded.services.spec import StackContext
from stack.embedded.supervisor.rollout import NEXT
from stack.embedded.supervisor.shutdown import end_services, end_strays
from stack.embedded.supervisor.state import NAME as SUPERVISOR
from stack.embedded.supervisor.state import RunPlan, ServiceRecord, ServiceState, SupervisorRecords
from stack.environment import HOST, ROOT, app_environment, inherited
from stack.java import jars
from stack.local_apps import LocalApps
from stack.logs import last_lines
from stack.preflight import Check
from stack.runtime import Report, RunningStack, ServiceStatus
from stack.services import KAFKA, Service

UP_S = 300
DOWN_S = 60
HOPELESS = 5  # restarts while coming up
SHOWN_LINES = 12
LOOK_EVERY_S = 0.1


class EmbeddedRuntime:
    """One stack, in one state folder."""

    def __init__(self, state: Path, settings: Mapping[str, str] | None = None) -> None:
        """``settings`` are variables for the apps, over what stack.yaml says."""
        self.state = state.resolve()
        self.settings = dict(settings or {})
        self._stack = services.load()
        self._own = services.own(self.settings)  # what runs here
        self._records = SupervisorRecords(self.state)

    def up(self, services: Sequence[Service], report: Report) -> None:
        """
        Start ``services`` and what they need, and return when each is ready.

        Raises BatonError that names what is not ready and shows its last log lines; what runs then goes on running.
        """
        began = time.monotonic()
        ordered = self._own.start_order([service.name for service in services])
        plan = RunPlan(tuple(service.name for service in ordered), self.settings)
        known = self._records.status()
        runs = self._supervisor() and known.plan == plan
        if not runs:
            doctor.require(self.state, ordered, self.settings)
        if KAFKA in self.settings:
            cluster = foreign_kafka.require_same(self.settings, self.state)
            foreign_kafka.make_topics(self.settings, self._stack.delivery)
        if not runs:
            self._replace_supervisor(plan)
        if KAFKA in self.settings:
            foreign_kafka.keep(cluster, self.state)
        self._await_ready(plan, report, began)

    def down(self) -> None:
        """End everything that ``up`` started, and nothing else; works without a supervisor too."""
        if supervisor := self._supervisor():
            supervisor.send(signal.SIGTERM)
            self._await_end(supervisor)
        self._end_leftovers()
        wait_until(lambda: not self.processes(), DOWN_S, self._still_alive, LOOK_EVERY_S)  # a killed one takes a moment

    def address(self, service: str) -> str:
        """Where a client on this machine finds a service."""
        if service == kafka.NAME and KAFKA in self.settings:
            return self.settings[KAFKA]
        return self._stack.service(service).address_at(HOST)

    def collect_logs(self, folder: Path) -> None:
        """Copy each service's log, and the supervisor's records, into a folder of its own."""
        for log in sorted((self.state / "logs").glob("*.log*")):
            target = folder / log.name.split(".")[0]
            target.mkdir(parents=True, exist_ok=True)
            shutil.copy2(log, target)
        for record in sorted(self._records.folder.glob("*.json")):
            target = folder / SUPERVISOR
            target.mkdir(parents=True, exist_ok=True)
            shutil.copy2(record, target)

    def environment(self) -> dict[str, str]:
        """The whole environment of an app of this stack."""
        settings = told() | self.settings
        return inherited() | app_environment(self._stack, self.state, jars("spark-kafka"), settings)

    def status(self) -> list[ServiceStatus]:
        """Each service as it is now, the supervisor first."""
        return [_status(record.as_found()) for record in self._records.status().records]

    def running(self) -> bool:
        """Whether any process of this stack is alive."""
        return bool(self.processes())

    def has_data(self) -> bool:
        """Whether there is a state folder."""
        return self.state.exists()

    def wipe(self) -> None:
        """Remove all data."""
        self.down()
        remove_folder(self.state)

    def check(self) -> list[Check]:
        """What this machine must have for what runs here by the settings of the last up."""
        on = [service.name for service in self._own.services if service.is_on(self.settings)]
        return doctor.check(self.state, self._own.running(on), self.settings)

    def logs(self, service: str, lines: int, *, follow: bool) -> Iterator[tuple[str, str]]:
        """The newest lines of a service's log, or of all."""
        return logs.read(self.state / "logs", service, lines, follow=follow)

    def attach(self) -> RunningStack:
        """The orchestrator port over the state folder; apps run by hand are processes."""
        if not self.running():
            raise BatonError("the stack must be up; it is down; run ./baton up")
        environment = self.environment() | {MARK: str(self.state), BY_HAND: "1"}
        return RunningStack(environment, EmbeddedOrchestrator(self.state), LocalApps(environment, self.state / "logs"))

    def processes(self) -> list[psutil.Process]:
        """Every live process of the stack, with what it started."""
        processes = {process.pid: process for process in marked(self.state)}
        for record in self._records.status().records:
            if record.identity:
                members = Child(record.identity).members()
                processes |= {process.pid: process for process in members}
        return list(processes.values())

    def _supervisor(self) -> Child | None:
        record = self._records.status().record(SUPERVISOR)
        return Child.adopt(record.identity) if record and record.identity else None

    def _replace_supervisor(self, plan: RunPlan) -> None:
        """Start a supervisor with ``plan``; one with another plan ends, and leaves its processes to the new one."""
        if supervisor := self._supervisor():
            supervisor.send(signal.SIGKILL)
            self._await_end(supervisor)
        self._records.write_plan(plan)
        command = [sys.executable, "-m", "stack.embedded.supervisor", str(self.state)]
        environment = self.environment() | {"BATON_CACHE_DIR": str(jars("kafka").parent.parent)}
        started = Child.start(command, environment, self.state / "logs" / f"{SUPERVISOR}.log", ROOT)

        def announced() -> bool:
            if not started.alive():
                raise BatonError(f"the supervisor must run; it ended:\n{self._lines(SUPERVISOR)}")
            record = self._records.status().record(SUPERVISOR)
            return record is not None and record.pid == started.pid

        wait_until(announced, DOWN_S, lambda: f"the supervisor must start:\n{self._lines(SUPERVISOR)}", LOOK_EVERY_S)

    def _await_ready(self, plan: RunPlan, report: Report, began: float) -> None:
        first: dict[str, int] = {}
        while True:
            found = [record.as_found() for record in self._records.status().records]
            records = {record.service: record for record in found if record.service in plan.services}
            for name, record in records.items():
                first.setdefault(name, record.restarts)
                report(_status(record), time.monotonic() - began)
            supervised = self._supervisor() is not None  # without one the records tell what was true before
            if supervised and all(name in records and _status(records[name]).is_up for name in plan.services):
                return
            late = {name: record for name, record in records.items() if not _status(record).is_up}
            hopeless = any(record.restarts - first[name] >= HOPELESS for name, record in late.items())
            if hopeless or time.monotonic() - began > UP_S or not supervised:
                raise self._not_ready(plan, records)
            pause(LOOK_EVERY_S)

    def _not_ready(self, plan: RunPlan, records: Mapping[str, ServiceRecord]) -> BatonError:
        """Name what is not ready, and show the cause: what crashed, or else what started and does not get ready."""
        missing = [name for name in plan.services if name not in records or not _status(records[name]).is_up]
        lines = [f"every service must be ready; got {', '.join(missing)} not ready"]
        if not self._supervisor():
            lines.append(f"the supervisor has ended:\n{self._lines(SUPERVISOR)}")
        late = [records[name] for name in missing if name in records]
        crashed = [record for record in late if record.state is ServiceState.CRASHED]
        for record in crashed or [record for record in late if record.state is not ServiceState.WAITING]:
            lines += [f"{record.service} is {record.state} ({record.restarts} restarts): {record.error}"]
            lines += [self._lines(record.service)]
        return BatonError("\n".join(lines))

    def _lines(self, name: str) -> str:
        lines = last_lines(self.state / "logs" / f"{name}.log", SHOWN_LINES)
        return "\n".join(f"    {line[:200]}" for line in lines)

    def _still_alive(self) -> str:
        processes = ", ".join(str(process) for process in self.processes())
        return f"nothing of the stack must live after down; got {processes}; end it by hand"

    def _await_end(self, child: Child) -> None:
        wait_until(lambda: not child.alive(), DOWN_S, f"process {child.pid} must end", LOOK_EVERY_S)

    def _end_leftovers(self) -> None:
        """End what a supervisor that was killed left behind."""
        children: dict[str, list[Child]] = {}
        for record in self._records.status().records:
            if record.service != SUPERVISOR and record.identity:
                children.setdefault(record.service.removesuffix(NEXT), []).append(Child(record.identity))
        if children:
            context = StackContext(self.state, self._stack, inherited())
            services = [self._stack.service(name) for name in children]
            end_services(self._stack, children, specs(services, context, {}))
        end_strays(self.state)


def _status(record: ServiceRecord) -> ServiceStatus:
    instances = (str(record.pid),) if record.pid else ()
    return ServiceStatus(record.service, str(record.state), instances, record.restarts, record.error)
