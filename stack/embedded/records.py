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

from stack.embedded.process import Identity


class State(StrEnum):
    """Where a service stands."""

    WAITING = "waiting"  # for what it needs
    PREPARING = "preparing"
    STARTING = "starting"
    READY = "ready"
    RUNNING = "running"  # a trainer at work
    CRASHED = "crashed"  # it is started again after a while
    STOPPED = "stopped"


@dataclass(frozen=True)
class Record:
    """One service as ``status`` shows it; a server also names its release, version and folder."""

    service: str
    state: State
    since: float
    restarts: int = 0
    error: str = ""
    pid: int | None = None
    created: float | None = None
    release: int | None = None
    version: str | None = None
    folder: str | None = None

    @property
    def identity(self) -> Identity | None:
        """The process, whether it lives or not."""
        return Identity(self.pid, self.created) if self.pid and self.created else None

    def as_found(self) -> "Record":
        """The record, corrected when its process died without anyone to write it down."""
        if self.identity and self.identity.process() is None:
            return replace(self, state=State.STOPPED, pid=None, created=None)
        return self


@dataclass(frozen=True)
class Plan:
    """What a supervisor shall run, with which settings for the apps."""

    services: tuple[str, ...]
    settings: dict[str, str]


@dataclass(frozen=True)
class Status:
    """What runs: the supervisor first."""

    records: tuple[Record, ...] = ()
    plan: Plan = field(default_factory=lambda: Plan((), {}))

    def record(self, service: str) -> Record | None:
        """The record of a service."""
        return next((one for one in self.records if one.service == service), None)


class Records:
    """The folder ``<state>/supervisor``."""

    def __init__(self, state: Path) -> None:
        """Nothing is touched yet."""
        self.folder = state / "supervisor"

    def write_plan(self, plan: Plan) -> None:
        """Say what to run."""
        self._write("plan.json", asdict(plan))

    def plan(self) -> Plan:
        """What to run."""
        raw = self._read("plan.json") or {"services": [], "settings": {}}
        return Plan(tuple(raw["services"]), raw["settings"])

    def write_status(self, records: Iterable[Record], plan: Plan) -> None:
        """Say what runs."""
        self._write("status.json", {"plan": asdict(plan), "services": [asdict(one) for one in records]})

    def status(self) -> Status:
        """What ran when it was last written."""
        raw = self._read("status.json")
        if raw is None:
            return Status()
        records = tuple(Record(**{**one, "state": State(one["state"])}) for one in raw["services"])
        return Status(records, Plan(tuple(raw["plan"]["services"]), raw["plan"]["settings"]))

    def _read(self, name: str) -> dict[str, Any] | None:
        try:
            raw: dict[str, Any] = json.loads((self.folder / name).read_bytes())
        except (FileNotFoundError, ValueError):
            return None
        return raw

    def _write(self, name: str, content: dict[str, Any]) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        unfinished = self.folder / f".{name}.tmp"
        unfinished.write_text(json.dumps(content, indent=1))
        unfinished.replace(self.folder / name)
