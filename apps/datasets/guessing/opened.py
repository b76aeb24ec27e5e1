"""How a file is written, found out from the file: its encoding, its separator and the names in its header."""

import csv
import io
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from apps.common.errors import SettingsError
from apps.datasets.declaration import Column, Dataset, Dialect
from apps.datasets.opening import open_text
from apps.datasets.source import LONGEST_CELL

SEPARATORS = (",", ";", "\t", "|")
OLDER = ("cp1252", "latin-1")  # tried in this order where a file is not UTF-8; the last takes any byte
LOOKED_AT = 1 << 16  # characters in which the separator is looked for
_CHUNK = 1 << 20
_OWN_NAMES = {"rejection", "prediction"}  # columns that the pipeline adds


@dataclass(frozen=True)
class Written:
    """How a file is written, and its header."""

    dialect: Dialect
    names: tuple[str, ...]

    @property
    def as_text(self) -> Dataset:
        """A dataset that takes every cell for text: what the file is read by before anything is known."""
        return Dataset(
            "unknown", "regression", self.names[0], (), tuple(map(Column, self.names)), {}, dialect=self.dialect
        )


def look(path: Path) -> Written:
    """
    Look at a file's encoding (to its end), separator and header.

    Raises SettingsError with every reason why no dataset can have such columns.
    """
    encoding = _encoding(path)
    with open_text(path, encoding) as file:
        beginning = file.read(LOOKED_AT).lstrip("\r\n")
    if not beginning.strip():
        raise SettingsError(f"{path} must have a header and rows; got an empty file; bring another")
    if hint := re.match(r"sep=.?", beginning, re.IGNORECASE):
        raise SettingsError(
            f"{path}: the first line must be the header; got {hint[0]!r}, which is for Excel; remove it"
        )
    if beginning.startswith("#"):
        got = beginning.splitlines()[0][:60]
        raise SettingsError(f"{path}: the first line must be the header; got a comment, {got!r}; remove it")
    csv.field_size_limit(max(csv.field_size_limit(), LONGEST_CELL))
    separator = _separator(beginning)
    names: list[str] = next(_records(beginning, separator), [])
    if problems := _name_problems(names):
        raise SettingsError("\n".join(f"{path}: {problem}" for problem in problems))
    return Written(Dialect(separator, encoding), tuple(names))


def _encoding(path: Path) -> str:
    """Empty for UTF-8, or what the byte order mark says; else the first of OLDER that reads the whole file."""
    for encoding in ("", *OLDER):
        try:
            with open_text(path, encoding) as file:
                while file.read(_CHUNK):
                    pass
        except UnicodeDecodeError:
            continue
        return encoding
    raise SettingsError(f"{path} must be text; got bytes that no encoding reads; save it as UTF-8")


def _records(text: str, separator: str) -> "csv._reader":  # type: ignore[name-defined]
    return csv.reader(io.StringIO(text, newline=""), delimiter=separator)


def _separator(beginning: str) -> str:
    """The mark that cuts most lines into the same number of cells, more than one."""
    best, most = ",", (0.0, 0)
    for separator in SEPARATORS:
        try:
            widths = [len(cells) for cells in _records(beginning, separator) if cells]
        except csv.Error:
            continue
        if len(beginning) >= LOOKED_AT and len(widths) > 1:
            del widths[-1]  # cut in its middle
        if widths and widths[0] > 1:
            agreeing = Counter(widths)[widths[0]] / len(widths)
            best, most = max((best, most), (separator, (round(agreeing, 1), widths[0])), key=lambda found: found[1])
    return best


def _name_problems(names: Sequence[str]) -> list[str]:
    problems = []
    lower = Counter(name.lower() for name in names)
    if "" in names:
        where = ", ".join(str(place) for place, name in enumerate(names, 1) if not name)
        problems.append(f"each column must have a name; got none for column {where}; name it, or remove the column")
    if twice := [name for name in dict.fromkeys(names) if name and lower[name.lower()] > 1]:
        got = ", ".join(map(repr, twice))
        problems.append(f"column names must differ by more than case; got {got} twice; rename one, or remove it")
    if names and all(re.fullmatch(r"\s*[+-]?[0-9.,]+\s*", name) for name in names):
        problems.append(f"the first line must be the header; got numbers: {', '.join(names)[:60]}; add the header")
    for name in names:
        if name.startswith("_b_") or name.lower() in _OWN_NAMES:
            problems.append(f"a column must not be called so, which the pipeline's own are; got {name!r}; rename it")
        if "`" in name or re.search(r"[\x00-\x1f]", name):
            problems.append(f"a column's name must be one line without backticks; got {name!r}; rename it")
    return problems
