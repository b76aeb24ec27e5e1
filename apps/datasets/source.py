"""
A CSV file as raw rows and back, one row at a time: what a person brings, and what goes into a batch.

Python's csv module reads quotes as the real files write them; a file that would shift a cell is refused by its line.
"""

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TextIO

from apps.common.errors import SettingsError
from apps.datasets.declaration import Dataset, Row

LONGEST_CELL = 16 * 1024 * 1024  # a longer one is a quote that nobody closed
_NEEDS_QUOTES = re.compile('[",\r\n]')


def read_csv(path: Path, dataset: Dataset) -> Iterator[Row]:
    """
    Yield the rows of a file with the columns of ``dataset``, in any order, after a header; blank lines are skipped.

    Raises SettingsError, at the first row at the latest, when the file cannot be read or its header differs, and
    later at a row whose number of cells differs.
    """
    csv.field_size_limit(max(csv.field_size_limit(), LONGEST_CELL))
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            yield from _rows(path, file, dataset)
    except OSError as error:
        raise SettingsError(f"{path} must be a CSV file; got {error.strerror}; check the path") from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path} must be text in UTF-8; got {error}; convert the file") from error


def _rows(path: Path, file: TextIO, dataset: Dataset) -> Iterator[Row]:
    lines, start = csv.reader(file, strict=True), 1  # strict: a quote left open is an error
    try:
        header: list[str] = next(lines, [])
        if problems := header_problems(header, dataset.column_names):
            raise SettingsError("\n".join(f"{path}: {problem}" for problem in problems))
        order = [header.index(name) for name in dataset.column_names]
        start = lines.line_num + 1
        for cells in lines:
            if cells and len(cells) != len(header):
                message = f"{path}: line {start} must have {len(header)} cells; got {len(cells)}; check its quotes"
                raise SettingsError(message)
            if cells:
                yield dict(zip(dataset.column_names, [cells[at] for at in order], strict=True))
            start = lines.line_num + 1
    except csv.Error as error:
        raise SettingsError(f"{path}: line {start} must be CSV; got {error}; check its quotes") from error


def header_problems(found: Sequence[str], columns: Sequence[str]) -> list[str]:
    """What is wrong with a header; its columns may come in any order."""
    if not found:
        return [f"the header must name {len(columns)} columns; got an empty file; bring the file with its header"]
    folded = {_folded(name): name for name in found if name not in columns}
    renamed = {name: folded[_folded(name)] for name in columns if name not in found and _folded(name) in folded}
    missing = [name for name in columns if name not in found and name not in renamed]
    extra = [name for name in dict.fromkeys(found) if name not in columns and name not in renamed.values()]
    twice = [name for name in dict.fromkeys(found) if list(found).count(name) > 1]
    problems = [f"column {name} must be called so; got {other!r}; rename it" for name, other in renamed.items()]
    if missing:
        problems.append(f"the header must have {', '.join(missing)}; got none of them; add them")
    if extra:
        problems.append(f"the header must have no other columns; got {', '.join(map(repr, extra))}; remove them")
    if twice:
        problems.append(f"the header must name a column once; got {', '.join(map(repr, twice))} twice; remove one")
    return problems


def _folded(name: str) -> str:
    return re.sub(r"[\W_]", "", name).casefold()


def write_csv(path: Path, rows: Iterable[Row], dataset: Dataset) -> int:
    """
    Write a header and the rows as UTF-8, quoted where needed, one line feed at the end of each; the number of rows.

    The csv module leaves a cell with a lone carriage return unquoted, which no reader gets back; hence ``_quoted``.
    """
    count = 0
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write(_line(dataset.column_names))
        for row in rows:
            file.write(_line([row.get(name, "") for name in dataset.column_names]))
            count += 1
    return count


def _line(cells: Sequence[str]) -> str:
    if len(cells) == 1 and not cells[0]:
        return '""\n'  # an empty line would be no row
    return ",".join(map(_quoted, cells)) + "\n"


def _quoted(cell: str) -> str:
    return '"' + cell.replace('"', '""') + '"' if _NEEDS_QUOTES.search(cell) else cell
