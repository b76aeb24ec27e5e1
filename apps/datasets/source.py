"""
A CSV file as raw rows and back, one row at a time: what a person brings, and what goes into a batch.

Python's csv module reads quotes as the real files write them; a file that would shift a cell is refused by its lines.
"""

import csv
import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from apps.common.errors import SettingsError
from apps.datasets.declaration import Dataset, Dialect, Row
from apps.datasets.opening import open_text

if TYPE_CHECKING:
    from _csv import Reader

LONGEST_CELL = 16 * 1024 * 1024  # a longer one is a quote that nobody closed
SHOWN_LINES = 10  # bad lines that an error names; it tells how many there are
_SHOWN_TEXT = 60  # characters of what stands where the header should
_SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars"}
_MARKS = {",": "commas", **_SEPARATORS}
_SAVE_WITH_COMMAS = "save it with commas, and numbers with a decimal point"
_WHOLE_LINE = "a whole line in one pair of quotes; put quotes around cells, or save it without"
_BLANK: tuple[list[str], ...] = ([], ["\x1a"])  # what the csv module makes of an empty line, and of a Ctrl-Z
_NEEDS_QUOTES = re.compile('[",\r\n]')


PLAIN = Dialect()


def read_csv(path: Path, dataset: Dataset, dialect: Dialect = PLAIN) -> Iterator[Row]:
    """
    Yield the rows of a file with the columns of ``dataset``, in any order, after a header.

    ``dialect`` is how the file is written: ``dataset.dialect`` for a person's own. Numbers come out as in a batch.

    Blank lines are skipped, and so is a Ctrl-Z on a line of its own, by which some programs end a file.

    Raises SettingsError, at the first row at the latest, when the file cannot be read or its header differs. After a
    bad line no row comes any more: the rest is only looked through, for an error that names the first bad lines and
    tells how many there are.
    """
    csv.field_size_limit(max(csv.field_size_limit(), LONGEST_CELL))
    with open_text(path, dialect.encoding) as file:
        blank, lines = 0, None
        try:
            while (first := file.readline(LONGEST_CELL)) and not first.strip():
                blank += 1
            text = itertools.chain(itertools.repeat("\n", blank), [first], file)  # with them, to number the lines
            lines = csv.reader(text, strict=True, delimiter=dialect.separator)  # strict: a quote left open is an error
            rows = _rows(path, _header(path, first, lines, dataset, dialect), lines, dataset)
            yield from rows if dialect.plain_numbers else _with_plain_numbers(rows, dataset, dialect)
        except UnicodeDecodeError as error:
            raise SettingsError(f"{path}: {_undecodable(error, lines.line_num if lines else blank)}") from error


def _undecodable(error: UnicodeDecodeError, lines_before: int) -> str:
    line = lines_before + error.object[: error.start].count(b"\n") + 1
    what = f"line {line} must be text in {error.encoding.upper()}; got the byte 0x{error.object[error.start]:02x}"
    if error.encoding == "utf-8":
        return f"{what}; save it as UTF-8, for instance by iconv -f WINDOWS-1252 -t UTF-8"
    return f"{what} ({error.reason}); copy or download it again, or save it as UTF-8"


def _with_plain_numbers(rows: Iterable[Row], dataset: Dataset, dialect: Dialect) -> Iterator[Row]:
    numbers = [column.name for column in dataset.columns if column.kind == "number"]
    for row in rows:
        yield {**row, **{name: dialect.number(row[name]) for name in numbers}}


def _header(path: Path, first: str, lines: "Reader", dataset: Dataset, dialect: Dialect) -> list[str]:
    problems = separator_problems(first, dataset.column_names, dialect.separator)
    try:
        header: list[str] = [] if problems else next(filter(None, lines), [])
    except csv.Error as error:
        raise SettingsError(f"{path}: the header must be CSV; got {error}; check its quotes") from error
    if problems := problems or header_problems(header, dataset.column_names):
        raise SettingsError("\n".join(f"{path}: {problem}" for problem in problems))
    return header


def _rows(path: Path, header: list[str], lines: "Reader", dataset: Dataset) -> Iterator[Row]:
    order = [header.index(name) for name in dataset.column_names]
    bad = _BadLines()
    start = lines.line_num + 1
    for cells in _records(lines, bad):
        if cells in _BLANK:
            pass
        elif len(cells) != len(header):
            bad.note(f"line {start} must have {len(header)} cells; got {_wrong_cells(cells, len(header))}")
        elif not bad.number:
            yield dict(zip(dataset.column_names, [cells[at] for at in order], strict=True))
        start = lines.line_num + 1
    if bad.number:
        raise SettingsError(bad.message(path))


def _wrong_cells(cells: Sequence[str], wanted: int) -> str:
    """How a row came to have another number of cells, and what to do about it."""
    row = ",".join(cells)
    for mark, name in _SEPARATORS.items():
        if row.count(mark) + 1 == wanted:
            return f"that many with {name} ({mark!r}) between them; {_SAVE_WITH_COMMAS}"
    if len(cells) == 1 and row.count(",") + 1 == wanted:
        return _WHOLE_LINE
    return f"{len(cells)}; check its quotes"


def _records(lines: "Reader", bad: "_BadLines") -> Iterator[list[str]]:
    """The records that can be read; of one that cannot, nothing, and the next begins with the line behind it."""
    while True:
        start = lines.line_num + 1
        try:
            yield next(lines)
        except StopIteration:
            return
        except csv.Error as error:
            bad.note(f"line {start} must be CSV; got {error}; check its quotes")
            if "limit" in str(error):  # a quote left open since: where a line begins is not known any more
                return
            yield []


@dataclass
class _BadLines:
    """The first bad lines of a file, and how many there are."""

    number: int = 0
    first: list[str] = field(default_factory=list)

    def note(self, problem: str) -> None:
        self.number += 1
        if self.number <= SHOWN_LINES:
            self.first.append(problem)

    def message(self, path: Path) -> str:
        """All in one text: a single line by itself, several below their number."""
        if self.number == 1:
            return f"{path}: {self.first[0]}"
        shown = "these are they" if self.number <= SHOWN_LINES else f"the first {SHOWN_LINES} are"
        head = f"{path}: every line must be whole; got {self.number} that are not; mend them; {shown}:"
        return "\n  ".join([head, *self.first])


def separator_problems(first_line: str, columns: Sequence[str], wanted: str = ",") -> list[str]:
    """What is wrong with the separators of a file, by its first line; empty when ``wanted`` does as well as another."""
    if hint := re.match(r"sep=(.?)", first_line, re.IGNORECASE):
        return [
            f"the first line must be the header; got {hint[0]!r}, which is for Excel; remove it, and separate by commas"
        ]
    columns_by_mark = {mark: _columns_named(first_line, mark, columns) for mark in (",", *_SEPARATORS)}
    best = max(columns_by_mark, key=lambda mark: columns_by_mark[mark])
    if columns_by_mark[best] <= columns_by_mark[wanted]:
        return []
    got = f"{_MARKS[best]} ({best!r})"
    remedy = _SAVE_WITH_COMMAS if wanted == "," else "save it as the first file was, or change the dataset's dialect"
    return [f"cells must be separated by {_MARKS[wanted]}; got {got}; {remedy}"]


def _columns_named(line: str, mark: str, columns: Sequence[str]) -> int:
    cells = next(csv.reader([line], delimiter=mark), [])
    return len(set(map(_folded, cells)) & set(map(_folded, columns)))


def header_problems(found: Sequence[str], columns: Sequence[str]) -> list[str]:
    """What is wrong with a header; its columns may come in any order."""
    if not found:
        return [f"the header must name {len(columns)} columns; got an empty file; bring the file with its header"]
    folded = {_folded(name): name for name in found if name not in columns}
    renamed = {name: folded[_folded(name)] for name in columns if name not in found and _folded(name) in folded}
    missing = [name for name in columns if name not in found and name not in renamed]
    if len(missing) == len(columns):
        if len(found) == 1 and set(columns) & set(found[0].split(",")):
            return [f"the first line must be the header; got {_WHOLE_LINE}"]
        shown = ",".join(found)[:_SHOWN_TEXT]
        return [f"the first line must be the header, {','.join(columns)}; got {shown!r}; add the header"]
    extra = [name for name in dict.fromkeys(found) if name and name not in columns and name not in renamed.values()]
    twice = [name for name in dict.fromkeys(found) if name and list(found).count(name) > 1]
    problems = [f"column {name} must be called so; got {other!r}; rename it" for name, other in renamed.items()]
    if missing:
        problems.append(f"the header must have {', '.join(missing)}; got none of them; add them")
    if extra:
        problems.append(f"the header must have no other columns; got {', '.join(map(repr, extra))}; remove them")
    if twice:
        problems.append(f"the header must name a column once; got {', '.join(map(repr, twice))} twice; remove one")
    if "" in found:
        problems.append("each column must have a name; got '', as of pandas' index; write it by to_csv(index=False)")
    return problems


def _folded(name: str) -> str:
    return re.sub(r"[\W_]", "", name).casefold()


def write_csv(path: Path, rows: Iterable[Row], dataset: Dataset) -> int:
    """Write a header and the rows as UTF-8; the number of rows."""
    count = 0
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write(csv_line(dataset.column_names))
        for row in rows:
            file.write(csv_line([row.get(name, "") for name in dataset.column_names]))
            count += 1
    return count


def csv_line(cells: Sequence[str]) -> str:
    """
    One row as text: quoted where needed, a line feed at its end.

    The csv module leaves a cell with a lone carriage return unquoted, which no reader gets back; hence ``_quoted``.
    """
    if len(cells) == 1 and not cells[0]:
        return '""\n'  # an empty line would be no row
    return ",".join(map(_quoted, cells)) + "\n"


def _quoted(cell: str) -> str:
    return '"' + cell.replace('"', '""') + '"' if _NEEDS_QUOTES.search(cell) else cell
