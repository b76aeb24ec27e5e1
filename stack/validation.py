"""Whether what YAML gave has the fields and types of a dataclass; problems are collected, not raised one by one."""

import types
import typing
from collections.abc import Mapping
from dataclasses import MISSING, fields
from enum import EnumType
from typing import Any

from apps.common.errors import SettingsError


class Problems:
    """What is wrong with one file."""

    def __init__(self, source: str) -> None:
        """``source`` names the file in each sentence."""
        self.source = source
        self.found: list[str] = []

    def add(self, thing: str, rule: str, got: object, remedy: str) -> None:
        """Add a sentence in the house's form."""
        self.found.append(f"{self.source}: {thing} must be {rule}; got {got!r}; {remedy}")

    def raise_any(self) -> None:
        """Raise SettingsError with all of them, if there are any."""
        if self.found:
            raise SettingsError("\n".join(self.found))


def check_shape(raw: Any, kind: type, label: str, problems: Problems) -> None:
    """Add a problem for each field of ``raw`` that is missing, unknown, or of another type than in ``kind``."""
    if not isinstance(raw, dict):
        problems.add(label, "an object", raw, f"edit {label}")
        return
    hints = typing.get_type_hints(kind)
    for field in fields(kind):
        if field.name in raw:
            if rule := _misfit(raw[field.name], hints[field.name]):
                problems.add(f"{label}.{field.name}", rule, raw[field.name], f"edit {label}.{field.name}")
        elif field.default is MISSING and field.default_factory is MISSING:
            problems.add(f"{label}.{field.name}", "given", None, f"add {label}.{field.name}")
    for name in raw:
        if name not in hints:
            problems.add(f"{label}.{name}", f"one of {', '.join(hints)}", name, "remove or rename it")


def _misfit(value: Any, hint: Any) -> str:
    """The rule that ``value`` breaks, or nothing."""
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin is tuple:
        good = isinstance(value, list) and not any(_misfit(one, inner[0]) for one in value)
        return "" if good else f"a list of {inner[0].__name__}"
    if origin is Mapping:
        good = isinstance(value, dict) and all(isinstance(k, str) and not _misfit(v, int) for k, v in value.items())
        return "" if good else "names with whole numbers"
    if isinstance(hint, EnumType):
        return "" if value in list(hint) else f"one of {', '.join(map(str, hint))}"
    if hint is int:
        return "" if isinstance(value, int) and not isinstance(value, bool) else "a whole number"
    if isinstance(hint, types.GenericAlias) or hint is not str:
        raise TypeError(hint)
    return "" if isinstance(value, str) else "text"
