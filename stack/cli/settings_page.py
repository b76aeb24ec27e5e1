"""
The list of settings as a person reads it: tables for the terminal, and docs/settings.md.

``python -m stack.cli.settings_page > docs/settings.md`` writes the page anew; a test compares.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from rich.table import Table
from rich.text import Text

from stack.cli.settings import Setting, catalogue, models, shown

EVERY = "every app"
INTRODUCTION = """\
# Settings

<!-- rendered from the apps' models by python -m stack.cli.settings_page; tests/unit/test_cli_settings.py compares -->

Three doors: [stack/stack.yaml](../stack/stack.yaml) is for ports, versions and delivery; `--set` is for the apps, as
below; a chart's values are for resources, disks and addresses of a cluster.

```sh
./baton up --set trees=40 --set slices=5   # also demo, and in both modes
./baton settings trainer                   # this list, with what is set now
```

What `up` was told holds for every app of that stack until the next `up` tells it anew, and `./baton status` shows it.
The variables of a shell do not reach a stack; an app that is run by hand takes them: `eval "$(./baton env)"`, then
`BATON_TREES=40 BATON_BATCH=used_cars-0001 python -m apps.trainer`. `rescore` is the job of `./baton demo` that computes
what each version predicts, `topics` the one that makes Kafka's topics.
"""


def free(settings: Iterable[Setting]) -> dict[str, list[Setting]]:
    """The settings that a person sets, by the apps that take them."""
    groups: dict[str, list[Setting]] = {}
    for setting in settings:
        if not setting.set_by:
            groups.setdefault(_apps(setting), []).append(setting)
    return groups


def tables(settings: Iterable[Setting], variables: Mapping[str, str]) -> list[Table]:
    """For the terminal; ``variables`` are those that the stack of this checkout was started with."""
    listed, values = list(settings), shown(variables)
    changed = {one.name for one in listed if values.get(one.name, one.default) != one.default}
    made = []
    for apps, group in free(listed).items():
        columns = ["name", *(["set"] if changed else []), "default", "unit", "meaning"]
        table = _table(apps, columns)
        for one in group:
            value = [values[one.name] if one.name in changed else ""] if changed else []
            table.add_row(*map(Text, (one.name, *value, one.default, one.unit, _meaning(one))))
        made.append(table)
    given = _table("Not for --set", ["name", "from", "meaning"])
    for one in listed:
        if one.set_by:
            given.add_row(*map(Text, (one.name, one.set_by, one.meaning)))
    return [*made, given]


def _table(title: str, columns: Iterable[str]) -> Table:
    table = Table(box=None, title=f"\n{title}", title_justify="left")
    for column in columns:
        table.add_column(column, overflow="fold", max_width=24 if column == "default" else None)
    return table


def rows(settings: Iterable[Setting], variables: Mapping[str, str]) -> list[dict[str, Any]]:
    """For programs; ``set`` is None where nothing was set."""
    values = shown(variables)
    return [{"variable": one.variable, **asdict(one), "set": values.get(one.name)} for one in settings]


def page() -> str:
    """docs/settings.md."""
    lines = [INTRODUCTION]
    for apps, group in free(catalogue()).items():
        lines += [f"## {apps}\n", "| name | variable | default | unit | meaning |", "|---|---|---|---|---|"]
        lines += [
            f"| `{one.name}` | `{one.variable}` | `{one.default}` | {one.unit} | {_meaning(one)} |" for one in group
        ]
        lines.append("")
    lines += ["## What comes from elsewhere\n", "| name | variable | apps | from | meaning |", "|---|---|---|---|---|"]
    lines += [
        f"| `{one.name}` | `{one.variable}` | {_apps(one)} | {one.set_by} | {one.meaning} |"
        for one in catalogue()
        if one.set_by
    ]
    return "\n".join(lines)


def _apps(setting: Setting) -> str:
    return EVERY if len(setting.apps) == len(models()) else ", ".join(setting.apps)


def _meaning(setting: Setting) -> str:
    return f"{setting.meaning} Sets that of {' and '.join(setting.also)} too." if setting.also else setting.meaning


if __name__ == "__main__":
    print(page())
