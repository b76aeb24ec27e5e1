"""
What the first file looked like, kept beside its declaration, and how another file differs from it.

Shares of deciles and of categories, so that a shift is seen by its size (population stability index) and not by a test,
which calls every difference significant once there are enough rows.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from apps.datasets.declaration import Column, Dataset
from apps.datasets.guessing import kinds, opened
from apps.datasets.guessing.kinds import Wishes
from apps.datasets.guessing.profile import Profile, Table
from apps.datasets.source import read_csv

KEPT = 1000  # categories of a column
SHIFT, SOME_SHIFT = 0.25, 0.1  # of the population stability index: the field's usual bounds
MORE_MISSING = 0.05  # of the rows
SHOWN = 5
_LEAST = 1e-4  # share that stands for none


def place(folder: Path, name: str) -> Path:
    """The file beside the declaration."""
    return folder / f"{name}.seen.json"


def text(table: Table) -> str:
    """What to keep of a file."""
    seen = {name: _summary(column) for name, column in table.columns.items()}
    return json.dumps({"rows": table.rows, "columns": seen}, indent=1, ensure_ascii=False) + "\n"


def _summary(seen: Profile) -> dict[str, Any]:
    guess = kinds.guess(seen, Wishes())
    common = {} if seen.many else dict(seen.texts.most_common(KEPT))
    found: dict[str, Any] = {"kind": guess.column.kind, "missing": _missing(seen)}
    if guess.column.kind == "number":
        found["deciles"] = [round(float(value), 6) for value in np.quantile(seen.numbers, np.linspace(0, 1, 11))]
    if common and len(seen.texts) <= KEPT and guess.column.kind in ("category", "flag"):
        found["shares"] = {value: round(count / seen.rows, 6) for value, count in common.items()}
    return found


def _missing(seen: Profile) -> float:
    return round((seen.shapes["missing"] + seen.shapes["null"]) / seen.rows, 6)


def differences(folder: Path, dataset: Dataset, path: Path) -> list[str]:
    """How the file at ``path`` differs from the one that the declaration was made of, a line for each difference."""
    written = opened.look(path)
    table = Table.of(written.names, read_csv(path, written.as_text, written.dialect), decimal=dataset.dialect.decimal)
    try:
        before = json.loads(place(folder, dataset.name).read_text(encoding="utf-8"))["columns"]
    except FileNotFoundError:
        before = {}
    found = list(_columns(written.names, dataset.column_names))
    if written.dialect.separator != dataset.dialect.separator:
        found.append(f"separator {written.dialect.separator!r}, was {dataset.dialect.separator!r}")
    if not table.rows:
        return [*found, "no rows"]
    for column in dataset.columns:
        if column.name in table.columns:
            found += _column(column, table.columns[column.name], before.get(column.name, {}))
    if not before:
        found.append(f"kinds and shifts are not compared: {place(folder, dataset.name).name} is not there")
    return found


def _columns(names: Sequence[str], declared: Sequence[str]) -> Iterator[str]:
    if gone := [name for name in declared if name not in names]:
        yield f"columns that are not there any more: {', '.join(gone)}"
    if new := [name for name in names if name not in declared]:
        yield f"columns that are new: {', '.join(new)}"


def _column(column: Column, seen: Profile, before: Mapping[str, Any]) -> Iterator[str]:
    if not before:
        return
    missing = _missing(seen)
    if abs(missing - before["missing"]) > MORE_MISSING:
        yield f"{column.name}: {missing:.1%} missing, was {before['missing']:.1%}"
    kind = kinds.guess(seen, Wishes()).column.kind
    if kind != before["kind"] and missing < 1:
        yield f"{column.name}: looks like a {kind}, was a {before['kind']}"
    if (deciles := before.get("deciles")) and len(seen.numbers):
        yield from _number_shift(column.name, seen, deciles)
    if shares := before.get("shares"):
        yield from _category_shift(column.name, seen, shares)


def _number_shift(name: str, seen: Profile, deciles: list[float]) -> Iterator[str]:
    edges = np.unique(deciles[1:-1])
    if len(edges) < 2:  # noqa: PLR2004 - nearly constant
        return
    was = np.histogram(np.interp(np.linspace(0, 1, 2001), np.linspace(0, 1, 11), deciles), _open(edges))[0]
    now = np.histogram(seen.numbers, _open(edges))[0]
    index = _stability(was / was.sum(), now / now.sum())
    if index >= SOME_SHIFT:
        size = "shifted" if index >= SHIFT else "shifted a little"
        yield f"{name}: {size} (PSI {index:.2f}); median {np.median(seen.numbers):,.6g}, was {deciles[5]:,.6g}"


def _open(edges: Any) -> list[float]:
    return [-np.inf, *edges, np.inf]


def _category_shift(name: str, seen: Profile, shares: Mapping[str, float]) -> Iterator[str]:
    values = {value: count for value, count in seen.texts.items() if value not in seen.nulls}
    if new := {value: count for value, count in values.items() if value not in shares}:
        shown = ", ".join(
            f"{value!r} ({new[value]:,})" for value in sorted(new, key=new.__getitem__, reverse=True)[:SHOWN]
        )
        more = f" and {len(new) - SHOWN:,} more" if len(new) > SHOWN else ""
        yield f"{name}: {len(new):,} new categories in {sum(new.values()):,} rows: {shown}{more}"
    known = [*shares, *new]
    was = np.array([shares.get(value, 0.0) for value in known])
    now = np.array([values.get(value, 0) / seen.rows for value in known])
    index = _stability(was, now)
    if index >= SHIFT:
        yield f"{name}: shares shifted (PSI {index:.2f})"


def _stability(was: Any, now: Any) -> float:
    was, now = np.maximum(was, _LEAST), np.maximum(now, _LEAST)
    return float(((now - was) * np.log(now / was)).sum())
