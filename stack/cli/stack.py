"""One stack of this checkout: its state folder, its settings, its runtime and its pipeline."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum
from functools import cache
from pathlib import Path

from apps import datasets
from apps.common.errors import BatonError, SettingsError
from apps.common.files import make_private, write_whole
from apps.common.names import DEFAULT_STACK
from apps.common.settings import kafka_access
from apps.orchestrator.port import Orchestrator
from stack import services
from stack.cli.console import err, step
from stack.cli.interruption import ignored
from stack.cli.pipeline import Pipeline
from stack.cli.progress import Progress
from stack.cli.settings import differences, shown, unused
from stack.environment import ROOT, shell_settings
from stack.runtime import Runtime
from stack.services import CACHE_URL, KAFKA

SETTINGS_FILE = "settings.json"
DEFAULTS = {"BATON_DATASET": "used_cars"}
OWN = {"BATON_DATASET": "dataset", "BATON_STACK": "name", KAFKA: "Kafka"}  # what cannot change while there is data
OWN_DEFAULTS = {**DEFAULTS, "BATON_STACK": DEFAULT_STACK, KAFKA: "the stack's own"}


class Mode(StrEnum):
    """Where the stack runs."""

    EMBEDDED = "embedded"
    CLUSTER = "cluster"

    @property
    def option(self) -> str:
        """What to add to a command of ``./baton`` for this mode; the default needs nothing."""
        return "" if self is Mode.EMBEDDED else f" --mode {self}"


# What is optional, where nobody says which: on a small machine a standby is 800 MiB, live metrics 650.
UNSAID = {("standby", Mode.CLUSTER): "on"}
CACHE_ACCESS = (CACHE_URL, "BATON_CACHE_USER", "BATON_CACHE_PASSWORD_FILE", "BATON_CACHE_CA")


def kept_modes() -> list[Mode]:
    """The modes of the user's own stacks that this checkout has: brought up at some time, and not reset since."""
    return [mode for mode in Mode if (Stack(mode=mode).state / SETTINGS_FILE).exists()]


def named(mode: Mode) -> list["Stack"]:
    """The stacks of this checkout that a demo, a bench or a test brought up for itself, whatever runs of them."""
    prefix = f"{mode}-"
    folders = sorted((ROOT / ".baton").glob(f"{prefix}*"))
    return [Stack(folder.name.removeprefix(prefix), mode) for folder in folders]


class Stack:
    """A stack called ``name``; a second one cannot run beside it, because the ports are the same."""

    def __init__(self, name: str = "", mode: Mode = Mode.EMBEDDED) -> None:
        """
        Everything that the stack writes on this machine is in its state folder; ``name`` "" is the user's own.

        Only whoever runs the stack may enter it: batches, models, logs and a password lie there.
        """
        self.name = name
        self.mode = mode
        self.state = ROOT / ".baton" / (f"{mode}-{name}" if name else str(mode))
        self.ready_after: dict[str, float] = {}  # service -> seconds, of the last up
        self._settings_file = self.state / SETTINGS_FILE

    @property
    def settings(self) -> dict[str, str]:
        """What ``up`` was given, as the apps' variables."""
        try:
            settings = json.loads(self._settings_file.read_bytes())
        except FileNotFoundError:
            return {}
        except ValueError:
            settings = None
        if isinstance(settings, dict):
            return settings
        _say(f"{self._settings_file} must hold the settings of the last up; it does not, and counts as none")
        return {}

    @property
    def runtime(self) -> Runtime:
        """The runtime of this stack."""
        if self.mode is Mode.CLUSTER:
            from stack.cluster.kind_config import NAME  # noqa: PLC0415 - a second to import, which the embedded mode need not pay
            from stack.cluster.runtime import ClusterRuntime  # noqa: PLC0415

            return ClusterRuntime(self.state, self.settings, f"{NAME}-{self.name}" if self.name else NAME)
        from stack.embedded.runtime import EmbeddedRuntime  # noqa: PLC0415

        return EmbeddedRuntime(self.state, self.settings)

    def running(self) -> bool:
        """Whether anything of this stack runs."""
        return self.runtime.running()

    def environment(self) -> dict[str, str]:
        """The environment of an app of this stack on this machine."""
        return self.runtime.environment()

    def up(
        self, dataset: str | None = None, source: Path | None = None, *, quiet: bool = False, **settings: str
    ) -> None:
        """
        Start everything and wait until it is ready; a stack that runs already must have the same settings.

        With neither dataset, source nor settings it is started as at the last ``up``. The dataset is that of the data
        that the stack has. ``quiet`` leaves out the line for each change of a service.
        """
        given = {
            **({"BATON_DATASET": dataset} if dataset else {}),
            **({"BATON_SOURCE": str(source.resolve())} if source else {}),
            **settings,
        }
        if not given and (given := self.settings) not in ({}, DEFAULTS):
            _say(f"as at the last up: {', '.join(f'{name} {value}' for name, value in shown(given).items())}")
        given = DEFAULTS | self._own | given
        chosen = datasets.get(given["BATON_DATASET"])
        if not (given.get("BATON_SOURCE") or chosen.generate or chosen.load):
            raise BatonError(f"--source must be a CSV file for {chosen.name}, which has no rows of its own; got none")
        self._require_own(given)
        self._require_way_to_kafka(given)
        self._require_charts(given)
        self._require_gateway(given)
        if (file := given.get("BATON_SOURCE")) and not Path(file).is_file():
            raise BatonError(f"--source must be a CSV file; got {file}; check the path")
        self._mention_unused_variables()
        if changed := self.settings not in ({}, given):  # {}: an empty cluster, or nothing at all
            self._announce_changes(given)
        with self._kept_if_started(given), step("stack up") as line:
            wanted = services.own(given).running([one.name for one in self._optional_services(given)])
            progress = Progress(line, {service.name for service in wanted}, self.log_of, quiet=quiet)
            self.ready_after = progress.ready_after
            self.runtime.up(wanted, progress.report)
        if changed:
            retry_failed_release(self.runtime.attach().orchestrator)

    def _optional_services(self, given: Mapping[str, str]) -> list[services.Service]:
        """The optional services that run."""
        all_services = services.load().services
        return [one for one in all_services if one.is_on(given, UNSAID.get((one.name, self.mode), "off"))]

    @property
    def _own(self) -> dict[str, str]:
        """What data belongs to, of the last ``up``, and the way to its Kafka; nothing when there was none."""
        return {name: value for name, value in self.settings.items() if name in OWN or name.startswith(KAFKA)}

    def _require_own(self, given: Mapping[str, str]) -> None:
        """Raise BatonError when the data is another dataset's, or another stack's: it would serve with their model."""
        for name, default in OWN_DEFAULTS.items() if self.settings else ():
            value = self.settings.get(name, default)
            got = given.get(name, default)
            if name == KAFKA and value != default != got:
                continue  # a cluster has several addresses: the runtime asks it which one it is
            if got != value:
                raise BatonError(
                    f"the {OWN[name]} of a stack that has data must stay {value}; got {got}; first run "
                    f"./baton reset{self.mode.option}, which removes its data"
                )

    def _require_way_to_kafka(self, given: Mapping[str, str]) -> None:
        """Raise SettingsError when what is told of a person's Kafka does not fit together, or not here."""
        told = shown({name: value for name, value in given.items() if name.startswith(KAFKA)})
        if told and self.mode is Mode.CLUSTER:
            rule = "Kafka must be named by addresses.kafka of charts/pipeline in a cluster"
            raise SettingsError(f"{rule}; got --set {', '.join(told)}; see docs/production.md")
        if told and KAFKA not in given:
            raise SettingsError(f"kafka must be given with {', '.join(told)}; got none; add --set kafka=HOST:PORT")
        kafka_access(given)

    def _require_gateway(self, given: Mapping[str, str]) -> None:
        """Raise SettingsError when there is a cache that nobody would ask, or one that a cluster's chart must name."""
        on = {service.name for service in self._optional_services(given)}
        if "cache" in on and "gateway" not in on:
            raise SettingsError("cache must be on only beside a gateway; got no gateway; add --set gateway=on")
        told = shown({name: value for name, value in given.items() if name in CACHE_ACCESS})
        if told and self.mode is Mode.CLUSTER:
            rule = "the cache must be named by addresses.cache of charts/pipeline in a cluster"
            raise SettingsError(f"{rule}; got --set {', '.join(told)}; see docs/production.md")

    def _require_charts(self, given: Mapping[str, str]) -> None:
        """Raise SettingsError when a service is switched on that has no chart, in a cluster."""
        missing = [one.name for one in self._optional_services(given) if not one.chart]
        if missing and self.mode is Mode.CLUSTER:
            raise SettingsError(
                f"{missing[0]} must be off in a cluster; got on; leave it out, and let the cluster's own Prometheus in "
                "by scrape.from of charts/pipeline"
            )

    def _announce_changes(self, given: Mapping[str, str]) -> None:
        """Say which settings differ from those of the last ``up``; a stack that runs keeps its own."""
        changes = ", ".join(differences(self.settings, given))
        if self.running():
            raise BatonError(
                f"a stack that runs must keep its settings; got {changes}; first run ./baton down{self.mode.option}"
            )
        _say(f"other settings than at the last up: {changes}")

    def down(self) -> None:
        """End everything that ``up`` started; data stays. A Ctrl-C meanwhile has no effect."""
        with ignored(), step(f"down {self.name}".strip()):
            self.runtime.down()

    @contextmanager
    def _kept_if_started(self, settings: dict[str, str]) -> Iterator[None]:
        """Keep ``settings`` with the state; when the block fails and leaves nothing running, the ones before."""
        before = self._settings_file.read_bytes() if self._settings_file.exists() else None
        make_private(self.state)
        write_whole(self._settings_file, json.dumps(settings))
        try:
            yield
        except BaseException as error:
            if not self.running():
                if before is None:
                    self._settings_file.unlink(missing_ok=True)
                else:
                    write_whole(self._settings_file, before)
            elif isinstance(error, Exception) and not self.name:
                option = self.mode.option
                _say(f"what is ready runs on; ./baton up{option} tries again, ./baton down{option} ends it")
            raise

    def log_of(self, service: str) -> str:
        """Where a person reads the log of a service; "" where no command and no file shows it."""
        if not self.name:
            return f"./baton logs {service}{self.mode.option}"
        return str(self.state / "logs" / f"{service}.log") if self.mode is Mode.EMBEDDED else ""

    def pipeline(self) -> Pipeline:
        """The verbs of the loop on this stack, which must run."""
        self._mention_unused_variables()
        return Pipeline(self.runtime.attach())

    def _mention_unused_variables(self) -> None:
        """Say which settings of the shell do nothing, except what ``./baton env`` printed."""
        if shell := shell_settings():
            for line in unused(shell, (self.environment(), Stack(mode=self.mode).environment())):
                _say(line)


def retry_failed_release(orchestrator: Orchestrator) -> None:
    """Ask once more for a release that failed: other settings may be what it lacked."""
    if newest := orchestrator.served().wanted:
        orchestrator.roll_out(newest.target)  # does nothing for a release that did not fail


@cache
def _say(line: str) -> None:
    """Print a line, the same one once."""
    err.print(line)
