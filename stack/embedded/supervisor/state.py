"""
What a supervisor leaves on disk: the plan it was given, and the state of each process.

Written whole and by rename at each change, so that whoever comes next (another supervisor, ``down``, ``status``) knows
every process, also after kill -9.
"""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from apps.common.files import write_whole
from apps.common.target import Target
from stack.embedded.process import Identity
from stack.runtime import GONE

NAME = "supervisor"  # as a service of its own


class ServiceState(StrEnum):
    """Where a service stands."""

    WAITING = "waiting"  # for what it needs
    PREPARING = "preparing"
    STARTING = "starting"
    READY = "ready"
    RUNNING = "running"  # a trainer at work
    CRASHED = "crashed"  # it is started again after a while
    STOPPED = "stopped"


@dataclass(frozen=True)
class ServiceRecord:
    """One service as ``status`` shows it; a server also names folder, release and what it serves, if anything."""

    service: str
    state: ServiceState
    since: float
    restarts: int = 0
    error: str = ""
    pid: int | None = None
    created: float | None = None
    release: int | None = None
    target: Target | None = None
    folder: str | None = None

    @property
    def identity(self) -> Identity | None:
        """The process, whether it lives or not."""
        return Identity(self.pid, self.created) if self.pid and self.created else None

    def as_found(self) -> "ServiceRecord":
        """The record, corrected when its process died without anyone to write it down."""
        if self.identity and self.identity.process() is None:
            return replace(self, state=ServiceState.STOPPED, error=GONE, pid=None, created=None)
        return self


@dataclass(frozen=True)
class RunPlan:
    """What a supervisor shall run, with which settings for the apps."""

    services: tuple[str, ...]
    settings: dict[str, str]


@dataclass(frozen=True)
class SupervisorStatus:
    """What runs: the supervisor first."""

    records: tuple[ServiceRecord, ...] = ()
    plan: RunPlan = field(default_factory=lambda: RunPlan((), {}))

    def record(self, service: str) -> ServiceRecord | None:
        """The record of a service."""
        return next((record for record in self.records if record.service == service), None)


class SupervisorRecords:
    """The folder ``<state>/supervisor``."""

    def __init__(self, state: Path) -> None:
        """Nothing is touched yet."""
        self.folder = state / "supervisor"

    def write_plan(self, plan: RunPlan) -> None:
        """Say what to run."""
        self._write("plan.json", asdict(plan))

    def plan(self) -> RunPlan:
        """What to run."""
        raw = self._read("plan.json") or {"services": [], "settings": {}}
        return RunPlan(tuple(raw["services"]), raw["settings"])

    def write_status(self, records: Iterable[ServiceRecord], plan: RunPlan) -> None:
        """Say what runs."""
        self._write("status.json", {"plan": asdict(plan), "services": [asdict(record) for record in records]})

    def status(self) -> SupervisorStatus:
        """What ran when it was last written."""
        raw = self._read("status.json")
        if raw is None:
            return SupervisorStatus()
        records = tuple(map(_record, raw["services"]))
        return SupervisorStatus(records, RunPlan(tuple(raw["plan"]["services"]), raw["plan"]["settings"]))

    def _read(self, name: str) -> dict[str, Any] | None:
        try:
            raw: dict[str, Any] = json.loads((self.folder / name).read_bytes())
        except (FileNotFoundError, ValueError):
            return None
        return raw

    def _write(self, name: str, content: dict[str, Any]) -> None:
        write_whole(self.folder / name, json.dumps(content, indent=1))


def _record(raw: dict[str, Any]) -> ServiceRecord:
    version = raw.pop("version", None)  # an earlier Baton wrote it in place of ``target``
    told = {"version": version} if version else raw
    target = Target.from_json(told) if version or raw.get("target") else None
    return ServiceRecord(**{**raw, "state": ServiceState(raw["state"]), "target": target})
