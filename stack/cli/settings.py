"""
The settings of the apps as a person sees and sets them: a list made from the apps' own models, and ``--set``.

A setting ``trees`` is the variable BATON_TREES of an app. A stack gives its apps what ``up`` was told and nothing of
the shell; what the stack itself knows better (addresses, folders, the release to serve) cannot be set.
"""

import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Literal, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic import FilePath
from pydantic.fields import FieldInfo

from apps.common.errors import SettingsError
from apps.common.settings import PREFIX, Settings, Unit, refusals, setter, variable

OWN = ("BATON_CACHE_DIR", "BATON_DEBUG", "BATON_MODE", "BATON_PYTHON")  # what ./baton itself takes from the shell
RULES = {Ge: "at least", Gt: "above", Le: "at most", Lt: "below"}


@dataclass(frozen=True)
class Setting:
    """
    A field of the settings of one or several apps.

    ``default`` is as a person would write it, empty when there is none; ``set_by`` says what gives the value in a
    stack, and is empty when a person does; ``also`` are apps that take another setting by the same name.
    """

    name: str
    apps: tuple[str, ...]
    default: str
    unit: str
    meaning: str
    set_by: str
    also: tuple[str, ...] = ()

    @property
    def variable(self) -> str:
        """Its name in the environment."""
        return variable(self.name)


@cache
def models() -> dict[str, type[Settings]]:
    """The settings of each app, in the order of the flow, then those of the commands that the stack runs itself."""
    from apps.batch_dropper.settings import DropperSettings  # noqa: PLC0415 - a second to import, for a few commands
    from apps.common.topics import TopicSettings  # noqa: PLC0415
    from apps.gateway.settings import GatewaySettings  # noqa: PLC0415
    from apps.live_metrics.settings import LiveMetricsSettings  # noqa: PLC0415
    from apps.new_data_watcher.settings import NewDataWatcherSettings  # noqa: PLC0415
    from apps.orchestrator.factory import WatcherSettings  # noqa: PLC0415
    from apps.prediction_server.settings import RescoreSettings, ServerSettings, StandbySettings  # noqa: PLC0415
    from apps.trainer.settings import TrainerSettings  # noqa: PLC0415
    from stack.embedded.services.prometheus import PrometheusSettings  # noqa: PLC0415

    return {
        "batch-dropper": DropperSettings,
        "new-data-watcher": NewDataWatcherSettings,
        "trainer": TrainerSettings,
        "new-model-watcher": WatcherSettings,
        "prediction-server": ServerSettings,
        "standby": StandbySettings,
        "live-metrics": LiveMetricsSettings,
        "gateway": GatewaySettings,
        "prometheus": PrometheusSettings,
        "rescore": RescoreSettings,
        "topics": TopicSettings,
    }


@cache
def catalogue() -> tuple[Setting, ...]:
    """Every setting; a field that several apps share is one, fields that only share a name are several."""
    apps: dict[Setting, tuple[str, ...]] = {}
    for app, model in models().items():
        for name, field in model.model_fields.items():
            setting = _setting(name, field)
            apps[setting] = (*apps.get(setting, ()), app)
    return tuple(
        replace(one, apps=mine, also=tuple(app for other in apps for app in apps[other] if _namesake(one, other)))
        for one, mine in apps.items()
    )


def choose(app: str) -> list[Setting]:
    """The settings of an app, or all; raise SettingsError when there is no such app."""
    if app and app not in models():
        raise SettingsError(f"app must be one of {', '.join(models())}; got {app}; ./baton settings shows all")
    return [setting for setting in catalogue() if not app or app in setting.apps]


def parse(pairs: Sequence[str]) -> dict[str, str]:
    """
    The variables of ``--set name=value`` options; raises SettingsError that lists every problem.

    A value is refused by the model of each app that takes it, in the words in which the app itself would refuse it.
    """
    problems: list[str] = []
    values: dict[str, str] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if problem := _problem(name, equals, pair):
            problems.append(problem)
        elif values.setdefault(name, value) != value:
            problems.append(f"--set {name} must be given once; got {values[name]} and {value}; leave one out")
    for model in models().values() if values else ():
        mine = {name: value for name, value in values.items() if name in model.model_fields}
        problems += refusals(model, mine)
    if problems:
        raise SettingsError("\n".join(dict.fromkeys(problems)))
    return {variable(name): _from_here(name, value) for name, value in values.items()}


def _from_here(name: str, value: str) -> str:
    """A file is meant from the folder that the person is in; the apps run in another."""
    fields = (model.model_fields.get(name) for model in models().values())
    is_file = any(FilePath in get_args(field.annotation) for field in fields if field)
    return str(Path(value).resolve()) if is_file else value


def shown(variables: Mapping[str, str]) -> dict[str, str]:
    """Variables by the names that a person types."""
    return {name.removeprefix(PREFIX).lower(): value for name, value in variables.items()}


def differences(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """What is set otherwise in ``after``, in the words of the options."""
    old, new = shown(before), shown(after)

    def value(settings: Mapping[str, str], name: str) -> str:
        defaults = {setting.default for setting in catalogue() if setting.name == name}
        return settings.get(name) or (defaults.pop() if len(defaults) == 1 else "") or "none"

    names = [name for name in {**old, **new} if old.get(name) != new.get(name)]
    return [f"{name} {value(new, name)} instead of {value(old, name)}" for name in names]


def unused(shell: Mapping[str, str], given: Iterable[Mapping[str, str]]) -> list[str]:
    """
    A line for the settings in the ``shell`` that no app of the stack will see, and one for its other variables.

    What stands in an environment in ``given`` with the same value is passed over: ``./baton env`` put it there.
    """
    left = {
        name: value
        for name, value in shell.items()
        if name.startswith(PREFIX) and name not in OWN and not any(one.get(name) == value for one in given)
    }
    if not left:
        return []
    free = {name: value for name, value in left.items() if _settable(name.removeprefix(PREFIX).lower())}
    rest = [name for name in left if name not in free]
    lines = []
    if free:
        options = " ".join(f"--set {shlex.quote(f'{name}={value}')}" for name, value in shown(free).items())
        lines.append(f"{_of_the_shell(free)}; ./baton up {options} sets {'them' if len(free) > 1 else 'it'}")
    if rest:
        lines.append(f"{_of_the_shell(rest)}; ./baton settings says what can be set, and what sets the rest")
    return lines


def _of_the_shell(names: Iterable[str]) -> str:
    listed = ", ".join(names)
    return f"{listed} of the shell {'are' if ', ' in listed else 'is'} not used"


def _settable(name: str) -> bool:
    return any(setting.name == name and not setting.set_by for setting in catalogue())


def _problem(name: str, equals: str, pair: str) -> str:
    """What is wrong with a ``--set`` option before its value is looked at."""
    if not equals or not name:
        return f"--set must be NAME=VALUE; got {pair!r}; as --set trees=40"
    if _settable(name):
        return ""
    if givers := {setting.set_by for setting in catalogue() if setting.name == name}:
        return f"--set must name a setting that a person sets; got {name}; it comes from {' or '.join(givers)}"
    free = {setting.name for setting in catalogue() if not setting.set_by}
    near = get_close_matches(name.lower().removeprefix(PREFIX.lower()), free)
    hint = f"did you mean {' or '.join(near)}? " if near else ""
    return f"--set must name a setting; got {name}; {hint}./baton settings lists them"


def _namesake(one: Setting, other: Setting) -> bool:
    return one.name == other.name and one != other


def _setting(name: str, field: FieldInfo) -> Setting:
    unit = next((mark.name for mark in field.metadata if isinstance(mark, Unit)), "")
    meaning = " ".join(part for part in (field.description or "", _rule(field)) if part)
    return Setting(name, (), _default(field), unit, meaning, setter(field))


def _default(field: FieldInfo) -> str:
    if field.is_required() or field.default_factory or field.default is None:
        return ""
    return f"{field.default:g}" if isinstance(field.default, float) else str(field.default)


def _rule(field: FieldInfo) -> str:
    """What a value must be, as far as numbers and choices go."""
    if get_origin(field.annotation) is Literal:
        return f"({' or '.join(get_args(field.annotation))})"
    limits = [
        f"{words} {limit:,}"
        for mark in field.metadata
        for kind, words in RULES.items()
        if isinstance(mark, kind) and (limit := getattr(mark, kind.__name__.lower())) is not None
    ]
    return f"({', '.join(limits)})" if limits else ""
