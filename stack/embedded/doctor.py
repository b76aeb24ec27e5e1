"""
What this machine lacks for the stack, and what to do about each.

``./baton doctor`` shows all of it; ``up`` refuses in the same words.
"""

import os
import pwd
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from apps.common.errors import BatonError, SettingsError
from stack import services
from stack.embedded import foreign_kafka, places
from stack.embedded.process import MARK, Child, marked
from stack.embedded.services import postgres, prometheus
from stack.embedded.supervisor.state import SupervisorRecords
from stack.environment import ROOT, inherited
from stack.java import POMS, jars, java
from stack.preflight import GIB, Check, answers, free_memory, owner
from stack.services import KAFKA, Service

MIB = 1024**2
BATON = ".baton"  # the folder of a checkout's stacks


def check(
    state: Path, wanted: Sequence[Service] | None = None, settings: Mapping[str, str] | None = None
) -> list[Check]:
    """
    Look at the machine, and at a Kafka that ``settings`` name.

    ``wanted`` are the services that shall run in ``state``, all of them by default.
    """
    stack, settings = services.load(), settings or {}
    wanted = wanted or stack.services
    own = _own(state)
    return [
        _user(),
        _state(state),
        *places.check(state),
        _python(stack.machine.python),
        _java(stack.machine.java),
        _maven(),
        _artefacts(),
        _postgres(state),
        *([_prometheus()] if stack.service(prometheus.NAME).is_on(settings) else []),
        _memory(wanted, own),
        _disk(state, stack.machine.disk_gib),
        *_ports(wanted, own),
        *([foreign_kafka.check(settings)] if KAFKA in settings else []),
    ]


def require(state: Path, wanted: Sequence[Service], settings: Mapping[str, str]) -> None:
    """Raise SettingsError that lists everything that keeps ``wanted`` from starting."""
    if bad := [str(one) for one in check(state, wanted, settings) if not one.ok]:
        raise SettingsError("\n".join(bad))


def _own(state: Path) -> dict[int, psutil.Process]:
    """What runs of this stack."""
    found = {process.pid: process for process in marked(state.resolve())}
    for record in SupervisorRecords(state).status().records:
        if record.identity:
            found |= {process.pid: process for process in Child(record.identity).members()}
    return found


def _user() -> Check:
    """Java asks the system for the user's name: HDFS and Spark log in by it, and nothing else can be told to them."""
    number = os.geteuid()
    remedy = f"take another user, or as root: useradd --uid {number} baton"
    try:
        return Check("this user must have a name", ok=True, got=pwd.getpwuid(number).pw_name, remedy=remedy)
    except KeyError:
        return Check("this user must have a name", ok=False, got=f"user {number}, which has none", remedy=remedy)


def _state(state: Path) -> Check:
    """What another user left in the state, as ``sudo ./baton up`` does, would stop a service long after its start."""
    me = os.geteuid()
    places = [place for place in (state, *state.glob("*"), *state.glob("*/*")) if os.path.lexists(place)]
    other = [place for place in places if place.lstat().st_uid != me and not os.access(place, os.W_OK)]
    got = f"{other[0]}, which {owner(other[0])} left" if other else "yours"
    return Check(f"the state {state} must be yours", not other, got, f"sudo chown -R {me} {shlex.quote(str(state))}")


def _python(allowed: tuple[str, ...]) -> Check:
    got = f"{sys.version_info.major}.{sys.version_info.minor}"
    return Check(f"Python must be {_either(allowed)}", got in allowed, got, "install one and remove .venv")


def _java(allowed: tuple[int, ...]) -> Check:
    rule, remedy = (
        f"Java must be {_either(allowed)}",
        "apt-get install openjdk-17-jre-headless; brew install openjdk@17",
    )
    try:
        said = subprocess.run(
            [java(), "-version"], env=inherited(), capture_output=True, text=True, timeout=20, check=True
        ).stderr
        version = re.findall(r'"(\d+)[^"]*"', said)[0]
    except (BatonError, OSError, subprocess.SubprocessError, IndexError) as error:
        return Check(rule, ok=False, got=f"none ({error})", remedy=remedy)
    return Check(rule, int(version) in allowed, f"{version} at {java()}", f"{remedy}, and set JAVA_HOME to it")


def _maven() -> Check:
    found = shutil.which("mvn")
    resolved = all(jars(pom.parent.name).is_dir() for pom in POMS.glob("*/pom.xml"))
    got = found or ("none, and not needed: every artefact is there" if resolved else "none")
    return Check("Maven must be on the path", bool(found) or resolved, got, "apt-get install maven; brew install maven")


def _artefacts() -> Check:
    missing = [pom.parent.name for pom in sorted(POMS.glob("*/pom.xml")) if not jars(pom.parent.name).is_dir()]
    where = str(jars("kafka").parent)
    got = f"no {', '.join(missing)} in {where}" if missing else where
    return Check("Java artefacts must be resolved", not missing, got, "start by ./baton, which resolves them")


def _postgres(state: Path) -> Check:
    try:
        got, ok = str(postgres.choose(state / postgres.NAME / "data")), True
    except BatonError as error:
        got, ok = str(error), False
    return Check("Postgres must be installed", ok, got, "apt-get install postgresql, or remove .venv and start ./baton")


def _prometheus() -> Check:
    found = prometheus.program()
    got = found or ("none, and ./baton up fetches it" if prometheus.can_be_had() else "none")
    remedy = "apt-get install prometheus; brew install prometheus; or leave out --set prometheus=on"
    return Check("Prometheus must be installed", prometheus.can_be_had(), got, remedy)


def _memory(wanted: Sequence[Service], own: dict[int, psutil.Process]) -> Check:
    used = 0
    for process in own.values():
        with suppress(psutil.Error):
            used += process.memory_info().rss
    need = sum(service.memory_mib for service in wanted) * MIB
    free = free_memory() + used
    return Check(
        f"free memory must be {need / GIB:.1f} GiB",
        free >= need,
        f"{free / GIB:.1f} GiB",
        "end other programs, or take a machine (a container's limit) with more",
    )


def _disk(state: Path, need_gib: int) -> Check:
    place = places.existing(state.resolve())
    free = shutil.disk_usage(place).free
    got = f"{free / GIB:.1f} GiB at {place}"
    return Check(f"free disk must be {need_gib} GiB", free >= need_gib * GIB, got, "make room, or clone elsewhere")


def _ports(wanted: Sequence[Service], own: dict[int, psutil.Process]) -> Iterator[Check]:
    holders = _holders({port for service in wanted for port in service.ports.values()}, own)
    for service in wanted:
        for name, port in service.ports.items():
            holder = holders.get(port)
            ours = holder is not None and holder in own
            got, end = "ours" if ours else "free", "end that process"
            if holder is not None and not ours:
                got, end = _describe(holder)
            remedy = f"{end}, or edit {service.name}.ports.{name} in stack/stack.yaml"
            yield Check(f"port {port} ({service.name} {name}) must be free", ours or holder is None, got, remedy)


def _holders(ports: set[int], own: Mapping[int, psutil.Process]) -> dict[int, int]:
    """Who listens on each taken port, by process number; 0 when that may not be known."""
    try:
        return {port: pid or 0 for port, pid in _listening(psutil.net_connections("tcp")) if port in ports}
    except psutil.AccessDenied:  # macOS tells only root who listens, and everybody of their own processes
        ours: dict[int, int] = {}
        for pid, process in own.items():
            with suppress(psutil.Error):
                ours |= {port: pid for port, _ in _listening(process.net_connections("tcp"))}
        return {port: ours.get(port, 0) for port in ports if answers(port)}


def _listening(connections: Iterable[Any]) -> list[tuple[int, int | None]]:
    """Of connections those that listen: the port, and the process where it is told."""
    return [
        (one.laddr.port, getattr(one, "pid", None))
        for one in connections
        if one.status == psutil.CONN_LISTEN and one.laddr
    ]


def _describe(pid: int) -> tuple[str, str]:
    """Who holds a port, without a command line, which may hold a password; and how it is ended."""
    cluster = "run ./baton down --mode cluster where it is of a cluster of Baton, else end it"
    try:
        process = psutil.Process(pid)
        name = process.name()
    except psutil.Error:
        return "a process of another user", cluster
    with suppress(psutil.Error):
        state = Path(process.environ().get(MARK, ""))
        if state.parent.name == BATON:
            checkout = state.parents[1]
            baton = "./baton" if checkout == ROOT else shlex.quote(str(checkout / "baton"))
            return f"process {pid} of the stack in {state}", f"run {baton} down --mode embedded"
    return f"process {pid}, {name}", cluster if "docker" in name else "end that process"


def _either(values: Sequence[object]) -> str:
    return " or ".join(map(str, values))
