"""A draft as the module that a person then edits: each column on a line of its own, with the reason beside it."""

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from apps.datasets.declaration import Column, Dialect
from apps.datasets.guessing.draft import LIMIT, Draft
from apps.datasets.guessing.kinds import Guess

WIDTH = 120


def module(draft: Draft, source: str) -> str:
    """The text of ``apps/datasets/<name>.py``; ``source`` is the file's name."""
    dataset = draft.dataset
    imported = ["Column", "Dataset", *(["Dialect"] if dataset.dialect != Dialect() else [])]
    lines = [
        '"""',
        f"{_one_line(source)}: {dataset.task} of {_one_line(dataset.target)}, guessed from {draft.table.rows:,} rows.",
        "",
        "Beside each column stands why it is what it is; see docs/add-a-dataset.md for what may be said instead.",
        '"""',
        "",
        f"from apps.datasets.declaration import {', '.join(imported)}",
        "",
        "DATASET = Dataset(",
        f"    name={_text(dataset.name)},",
        *_commented(f"    task={_text(dataset.task)},", draft.target),
        f"    target={_text(dataset.target)},",
        *_commented(f"    key={_tuple(dataset.key)},", draft.key),
        "    columns=(",
        *(line for guess in draft.guesses for line in _commented(f"        {_column(guess.column)},", _reason(guess))),
        "    ),",
        *_mapping(dataset.numeric.items()),
        *_names("one_hot", dataset.one_hot),
        *_names("target_encoded", dataset.target_encoded),
        *(["    log_target=True,"] if dataset.log_target else []),
        *_dialect(dataset.dialect),
        *_limit(dataset.quarantine_limit),
        ")",
    ]
    return "\n".join(lines) + "\n"


def _reason(guess: Guess) -> str:
    return guess.reason if guess.feature or guess.reason.startswith("left out") else f"left out: {guess.reason}"


def _one_line(text: str) -> str:
    return text.replace("\\", "/").replace('"', "'")


def _commented(code: str, comment: str) -> Iterator[str]:
    """The line with its comment behind it, or before it when both are too long for one line."""
    comment = " ".join(comment.split())
    if len(code) + len(comment) + 4 <= WIDTH:
        yield f"{code}  # {comment}"
        return
    indent = code[: len(code) - len(code.lstrip())]
    words, line = comment.split(" "), f"{indent}#"
    for word in words:
        if len(line) + 1 + len(word) > WIDTH and not line.endswith("#"):
            yield line
            line = f"{indent}#"
        line += f" {word}"
    yield line
    yield code


def _column(column: Column) -> str:
    given = [_text(column.name)]
    if column.kind != "text":
        given.append(_text(column.kind))
    if column.pattern:
        given.append(f"pattern={_pattern(column.pattern)}")
    if column.nulls:
        given.append(f"nulls={_tuple(column.nulls)}")
    if column.words:
        given.append(f"words={_tuple(column.words)}")
    given += [
        f"{name}={_number(value)}"
        for name, value in (("minimum", column.minimum), ("maximum", column.maximum))
        if value is not None
    ]
    return f"Column({', '.join(given)})"


def _text(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _pattern(pattern: str) -> str:
    return f'r"{pattern}"' if "\\" in pattern and '"' not in pattern else _text(pattern)


def _number(value: float) -> str:
    return repr(int(value)) if float(value).is_integer() and abs(value) < 1e15 else repr(value)  # noqa: PLR2004 - 1e+20


def _tuple(names: Sequence[str]) -> str:
    return f"({', '.join(map(_text, names))}{',' if len(names) == 1 else ''})"


def _mapping(items: Iterable[tuple[str, str]]) -> Iterator[str]:
    entries = [f"        {_text(name)}: {_text(sql)}," for name, sql in items]
    yield from ["    numeric={", *entries, "    },"] if entries else ["    numeric={},"]


def _names(field: str, names: Sequence[str]) -> Iterator[str]:
    if names:
        line = f"    {field}={_tuple(names)},"
        fits = len(line) <= WIDTH
        yield from [line] if fits else [f"    {field}=(", *(f"        {_text(name)}," for name in names), "    ),"]


def _limit(limit: float) -> Iterator[str]:
    if limit != LIMIT:
        yield f"    quarantine_limit={limit!r},  # rows without a target are quarantined, and there are many"


def _dialect(dialect: Dialect) -> Iterator[str]:
    plain: dict[str, Any] = vars(Dialect())
    given = [f"{name}={_text(value)}" for name, value in vars(dialect).items() if value != plain[name]]
    if given:
        yield f"    dialect=Dialect({', '.join(given)}),  # how the file is written; batches are plain CSV"
