"""
``stack.yaml`` as frozen dataclasses, every problem reported at once.

Whoever needs a port, a version or the order of things reads it from here, so that it is written once.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from apps.common.errors import SettingsError
from apps.common.settings import variable
from stack.validation import Problems, check_shape

FILE = Path(__file__).parent / "stack.yaml"
LAST_PORT = 65535
KAFKA = "BATON_KAFKA"  # the setting by which a person names a Kafka, in place of the stack's own
CACHE_URL = "BATON_CACHE_URL"  # the same of a cache


class ServiceKind(StrEnum):
    """How a service lives."""

    PLATFORM = "platform"  # always on; stack/embedded knows how to start it
    WATCHER = "watcher"  # always on; looks around every few seconds
    JOB = "job"  # runs when a training was asked for
    SERVER = "server"  # always on; replaced release by release
    OPTIONAL = "optional"  # always on where the setting of its name says on
    ON_REQUEST = "on-request"  # runs when a person asks for it


@dataclass(frozen=True)
class Machine:
    """What a machine must have."""

    java: tuple[int, ...]
    python: tuple[str, ...]
    disk_gib: int


@dataclass(frozen=True)
class Delivery:
    """How requests become answers; each setting is explained in stack.yaml."""

    trigger: str
    trigger_interval: str
    partitions: int
    request_retention_hours: int
    answer_retention_hours: int
    segment_hours: int
    message_max_bytes: int
    tick_seconds: int


@dataclass(frozen=True)
class Service:
    """
    One line of the README's table; ``needs`` must be ready before it starts, and of ``needs_one_of`` any one.

    One without a ``chart`` is of the embedded mode only; one without a ``module`` is a program of somebody else's.
    """

    name: str
    kind: ServiceKind
    what: str
    needs: tuple[str, ...]
    memory_mib: int
    ready: str
    chart: str = ""
    version: str = ""
    ports: Mapping[str, int] = field(default_factory=dict)
    address: str = ""
    module: str = ""
    needs_one_of: tuple[str, ...] = ()

    @property
    def all_needs(self) -> tuple[str, ...]:
        """Everything that it uses: what brings it up brings these too."""
        return self.needs + self.needs_one_of

    @property
    def exposed(self) -> dict[str, str]:
        """What its process is told of where it tells its figures; nothing where it tells none."""
        return {variable("metrics_port"): str(self.ports["metrics"])} if "metrics" in self.ports else {}

    @property
    def switch(self) -> str:
        """The setting that says whether it runs, where it is optional."""
        return variable(self.name.replace("-", "_"))

    def is_on(self, settings: Mapping[str, str], unsaid: str = "off") -> bool:
        """Whether ``settings`` switch it on, where it is optional; ``unsaid`` holds where they say nothing."""
        return settings.get(self.switch, unsaid) == "on"

    def may_start(self, ready: set[str]) -> bool:
        """Whether enough of what it needs is ready."""
        return set(self.needs) <= ready and (not self.needs_one_of or bool(ready.intersection(self.needs_one_of)))

    def address_at(self, host: str) -> str:
        """Where a client finds it on ``host``."""
        return self.address.format(host=host, **self.ports)


@dataclass(frozen=True)
class StackSpec:
    """Everything that stack.yaml says."""

    machine: Machine
    delivery: Delivery
    services: tuple[Service, ...]

    def service(self, name: str) -> Service:
        """The service called ``name``."""
        for service in self.services:
            if service.name == name:
                return service
        known = ", ".join(one.name for one in self.services)
        raise SettingsError(f"service must be one of {known}; got {name}; see stack/stack.yaml")

    def closure(self, names: Iterable[str]) -> set[str]:
        """``names`` and everything that they need, however far."""
        found: set[str] = set()
        left = list(names)
        while left:
            if (name := left.pop()) not in found:
                found.add(name)
                left += self.service(name).all_needs
        return found

    def waves(self, names: Iterable[str]) -> list[list[Service]]:
        """``names`` and their needs in groups: each group needs only the groups before it."""
        left = [service for service in self.services if service.name in self.closure(names)]
        done: set[str] = set()
        waves = []
        while left:
            wave = [service for service in left if set(service.all_needs) <= done]
            waves.append(wave)
            done |= {service.name for service in wave}
            left = [service for service in left if service.name not in done]
        return waves

    def running(self, wanted: Collection[str]) -> list[Service]:
        """What runs by itself; of what is optional only the services named in ``wanted``."""
        own = [service for service in self.services if service.kind is not ServiceKind.ON_REQUEST]
        return [service for service in own if service.kind is not ServiceKind.OPTIONAL or service.name in wanted]

    def without(self, name: str) -> "StackSpec":
        """The same, where somebody else runs the service called ``name``: nothing here waits for it."""

        def others(names: tuple[str, ...]) -> tuple[str, ...]:
            return tuple(one for one in names if one != name)

        left = [service for service in self.services if service.name != name]
        rest = (replace(one, needs=others(one.needs), needs_one_of=others(one.needs_one_of)) for one in left)
        return replace(self, services=tuple(rest))

    def start_order(self, names: Iterable[str]) -> list[Service]:
        """``names`` and their needs, each after what it needs."""
        return [service for wave in self.waves(names) for service in wave]


@cache
def load(file: Path = FILE) -> StackSpec:
    """Read the file; raise SettingsError that lists every problem."""
    return parse(yaml.safe_load(file.read_text()), file.name)


def own(settings: Mapping[str, str]) -> StackSpec:
    """What of stack.yaml a stack with ``settings`` runs itself: no Kafka and no cache where they name a person's."""
    stack = load()
    for setting, service in ((KAFKA, "kafka"), (CACHE_URL, "cache")):
        stack = stack.without(service) if setting in settings else stack
    return stack


def parse(raw: Any, source: str) -> StackSpec:
    """Check what YAML gave, and turn it into a Stack."""
    problems = Problems(source)
    if not isinstance(raw, dict):
        problems.add("the file", "an object with machine, delivery and services", raw, "see stack/stack.yaml")
        problems.raise_any()
    check_shape(raw.get("machine"), Machine, "machine", problems)
    check_shape(raw.get("delivery"), Delivery, "delivery", problems)
    services = raw.get("services")
    if not isinstance(services, list) or not services:
        problems.add("services", "a list of services", services, "name at least one")
        services = []
    for index, service in enumerate(services):
        label = service.get("name", f"services[{index}]") if isinstance(service, dict) else f"services[{index}]"
        check_shape(service, Service, str(label), problems)
    problems.raise_any()

    stack = StackSpec(
        machine=Machine(**_tuples(raw["machine"])),
        delivery=Delivery(**raw["delivery"]),
        services=tuple(Service(**_tuples(service) | {"kind": ServiceKind(service["kind"])}) for service in services),
    )
    _check_names(stack, problems)
    _check_ports(stack, problems)
    _check_delivery(stack.delivery, problems)
    problems.raise_any()
    return stack


def _tuples(raw: dict[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in raw.items()}


def _check_names(stack: StackSpec, problems: Problems) -> None:
    names = [service.name for service in stack.services]
    for name in sorted({name for name in names if names.count(name) > 1}):
        problems.add(f"{name}.name", "unique", f"{names.count(name)} services of that name", "rename one")
    unknown = False
    for service in stack.services:
        for need in service.all_needs:
            if need not in names:
                unknown = True
                label = f"{service.name}.{'needs' if need in service.needs else 'needs_one_of'}"
                problems.add(label, f"one of {', '.join(names)}", need, f"edit {label}")
        if service.kind is not ServiceKind.PLATFORM and not (service.module or service.version):
            rule = "the app's Python module, or version that of somebody else's program"
            problems.add(f"{service.name}.module", rule, service.module, "name it")
    if not unknown:
        _check_cycles(stack, problems)


def _check_cycles(stack: StackSpec, problems: Problems) -> None:
    for service in stack.services:
        if service.name in stack.closure(service.all_needs):
            problems.add(f"{service.name}.needs", "free of cycles", "a way back to itself", "remove one need")


def _check_ports(stack: StackSpec, problems: Problems) -> None:
    owners: dict[int, str] = {}
    for service in stack.services:
        for name, port in service.ports.items():
            label = f"{service.name}.ports.{name}"
            if not 1 <= port <= LAST_PORT:
                problems.add(label, f"1-{LAST_PORT}", port, f"edit {label}")
            elif port in owners:
                problems.add(label, f"free; {owners[port]} has it", port, f"edit {label}")
            owners.setdefault(port, label)


def _check_delivery(delivery: Delivery, problems: Problems) -> None:
    for one in fields(Delivery):
        value = getattr(delivery, one.name)
        if isinstance(value, int) and value < 1:
            problems.add(f"delivery.{one.name}", "at least 1", value, f"edit delivery.{one.name}")
    if delivery.trigger not in ("real-time", "micro-batch"):
        problems.add("delivery.trigger", "real-time or micro-batch", delivery.trigger, "edit delivery.trigger")
    longest = delivery.request_retention_hours + delivery.segment_hours
    if delivery.answer_retention_hours <= longest:
        problems.add(
            "delivery.answer_retention_hours",
            f"more than {longest} (request_retention_hours + segment_hours)",
            delivery.answer_retention_hours,
            "raise it: a request that outlives its answer would be answered again",
        )
