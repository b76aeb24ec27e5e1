"""
What the cells of each column look like, counted over the whole file with a memory that has a bound.

Different texts are counted up to DISTINCT of them; numbers are kept exactly in their extremes and as a sample for their
quantiles; whether a column is unique is known exactly, at eight bytes a row for those that still are.
"""

import random
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice

import numpy as np
import numpy.typing as npt

from apps.common.spark import DECIMAL
from apps.datasets.declaration import MISSING_WORDS, Row

BLOCK = 10_000  # rows that are looked at together
DISTINCT = 20_000  # different texts of a column that are counted
NUMBERS = 100_000  # of a column, from which quantiles are taken
SAMPLE = 20_000  # rows that are kept to compare columns with each other
CELL = 200  # characters of a cell in such a row, and of a text that is counted
WORD = 64  # characters beyond which a text is neither number nor date

NULL_WORDS = {"-", "--", "---", "?", ".", "..", "*", "n.a.", "na", "n/d", "nil", "none", "null", "missing", "unknown"}
NULL_WORDS |= {"not available", "#div/0!", "#value!", "#ref!", "(null)", "\\n", "nd", "tbd"}
_MISSING = frozenset(MISSING_WORDS)
_NUMBER = re.compile(DECIMAL)
_ZEROS = re.compile(r"0\d+")
_GROUPS = {mark: re.compile(rf"[+-]?\d{{1,3}}(?:{re.escape(mark)}\d{{3}})+") for mark in (",", ".")}
_POINT_GROUPED = re.compile(r"[+-]?\d{1,3}(?:,\d{3})+(?:\.\d+)?")
_COMMA_DECIMAL = re.compile(r"[+-]?(?:\d+|\d{1,3}(?:\.\d{3})+),\d+")
_WITH_COMMA = re.compile(r"[+-]?(?:\d+|\d{1,3}(?:\.\d{3})+)(?:,\d+)?")
_POINT = re.compile(r"\.(?!\d{3}$)\d+|\d{4}\.\d")
_CURRENCY = r"[$€£¥₹]|US\$|(?:USD|EUR|GBP|CHF) ?"
_GLUED = r"%|°[CF]?|kg|km|cm|mm|lbs?|hp|kW|cc|ml|mph|mpg|km/h|kWh|GB|MB"
_MEASURE = re.compile(
    rf"(?P<before>(?:{_CURRENCY})?\s?)(?P<number>[+-]?\d[\d,.]*)(?P<after>(?: [^\d\s][^\d]{{0,14}}|{_GLUED})?)"
)
_TIME = r"(?:[ T]\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:Z|[+-]\d{2}:?\d{2})?)?"
_DATES = {
    "ymd": re.compile(rf"(\d{{4}})[-/](\d{{1,2}})[-/](\d{{1,2}}){_TIME}"),
    "xxy": re.compile(rf"(\d{{1,2}})[-/.](\d{{1,2}})[-/.](\d{{4}}|\d{{2}}){_TIME}"),
    "mon": re.compile(r"([A-Z][a-z]{2}) (\d{1,2}),? (\d{4})"),
    "dmon": re.compile(r"(\d{1,2})[- ]([A-Z][a-z]{2})[- ](\d{4})"),
    "ym": re.compile(r"(\d{4})-(\d{2})"),
}
LARGEST_MONTH, LARGEST_DAY = 12, 31
LARGEST = 1e15  # from here on a double does not hold every whole number: it is a code


@dataclass
class Profile:
    """What was seen in one column."""

    name: str
    decimal: str = "."
    rows: int = 0
    texts: Counter[str] = field(default_factory=Counter)
    many: bool = False  # more different texts than are counted
    shapes: Counter[str] = field(default_factory=Counter)
    units: Counter[tuple[str, str]] = field(default_factory=Counter)
    others: Counter[str] = field(default_factory=Counter)  # texts that are neither missing nor a number
    nulls: set[str] = field(default_factory=set)  # texts that mean missing, and are none of MISSING_WORDS
    longest: int = 0
    letters: int = 0
    blanks: int = 0
    low: float = np.inf
    high: float = -np.inf
    fractions: int = 0
    points: int = 0  # numbers whose point cannot be a mark for thousands
    day_first: int = 0  # dates whose first part is above 12
    month_first: int = 0
    with_time: int = 0
    _numbers: list[npt.NDArray[np.float64]] = field(default_factory=list)
    _tags: list[npt.NDArray[np.float64]] = field(default_factory=list)
    _hashes: list[npt.NDArray[np.int64]] | None = field(default_factory=list)

    @property
    def present(self) -> int:
        """Rows whose cell is not missing by the words that are missing everywhere."""
        return self.rows - self.shapes["missing"]

    @property
    def values(self) -> list[str]:
        """The different texts that are no missing ones, as far as they are counted."""
        return [text for text in self.texts if text not in self.nulls]

    @property
    def distinct(self) -> int:
        """Different texts, or DISTINCT + 1 when there are more."""
        return len(self.texts) + self.many

    @property
    def numbers(self) -> npt.NDArray[np.float64]:
        """A sample of the numbers: all of them up to NUMBERS."""
        return np.concatenate(self._numbers) if self._numbers else np.array([])

    @property
    def unique(self) -> bool:
        """Whether no text is there twice and none is missing."""
        if self._hashes is None or self.shapes["missing"] or not self.rows:
            return False
        hashes = np.concatenate(self._hashes)
        return len(np.unique(hashes)) == len(hashes)

    def take(self, cells: list[str], chance: np.random.Generator) -> None:
        """Count the cells of one block."""
        self.rows += len(cells)
        counts = Counter(map(str.strip, cells))
        self._note_unique(cells, counts)
        found: list[float] = []
        times: list[int] = []
        for text, count in counts.items():
            number = self._note(text, count)
            if number is not None:
                found.append(number)
                times.append(count)
        if found:
            values = np.repeat(np.array(found), times)
            self.low, self.high = min(self.low, float(values.min())), max(self.high, float(values.max()))
            self._keep(values, chance.random(len(values)))

    def _note_unique(self, cells: list[str], counts: Counter[str]) -> None:
        if self._hashes is not None:
            self._hashes.append(np.fromiter(map(hash, counts), np.int64, len(counts)))
            if len(counts) < len(cells) or (len(self._hashes) & (len(self._hashes) - 1) == 0 and not self.unique):
                self._hashes = None

    def _keep(self, values: npt.NDArray[np.float64], tags: npt.NDArray[np.float64]) -> None:
        self._numbers.append(values)
        self._tags.append(tags)
        if sum(map(len, self._numbers)) > 2 * NUMBERS:
            numbers, drawn = np.concatenate(self._numbers), np.concatenate(self._tags)
            kept = np.argpartition(drawn, NUMBERS)[:NUMBERS]
            self._numbers, self._tags = [numbers[kept]], [drawn[kept]]

    def _note(self, text: str, count: int) -> float | None:
        """Count a text; the number in it, if it has one."""
        if text in _MISSING:
            self.shapes["missing"] += count
            if text:
                self.units["missing", text] += count
            return None
        kept = text[:CELL]
        if kept in self.texts or len(self.texts) < DISTINCT:
            self.texts[kept] += count
        else:
            self.many = True
        self.longest = max(self.longest, len(text))
        self.letters += len(text) * count
        self.blanks += text.count(" ") * count
        shape, number = self._shape(text, count) if len(text) <= WORD else ("text", None)
        self.shapes[shape] += count
        if shape not in ("number", "zeros", "long") and len(self.others) < DISTINCT:
            self.others[kept] += count
        return number

    def _shape(self, text: str, count: int) -> tuple[str, float | None]:
        if self.decimal == "," and (match := _MEASURE.fullmatch(text)) and _WITH_COMMA.fullmatch(match["number"]):
            text = text.replace(match["number"], match["number"].replace(".", "").replace(",", "."))
        if _NUMBER.match(text):
            return self._plain(text, count)
        if text.lower() in NULL_WORDS:
            self.nulls.add(text)
            return "null", None
        for order, pattern in _DATES.items():
            if match := pattern.fullmatch(text):
                return self._date(order, match, count), None
        match = _MEASURE.fullmatch(text)
        return self._measure(text, match, count) if match else ("text", None)

    def _plain(self, text: str, count: int) -> tuple[str, float | None]:
        number = float(text)
        if _ZEROS.fullmatch(text):
            return "zeros", None
        if abs(number) >= LARGEST:
            return "long", None
        self.fractions += count * (number != int(number))
        self.points += count * bool(_POINT.search(text))
        return "number", number

    def _date(self, order: str, match: re.Match[str], count: int) -> str:
        self.with_time += count * (":" in match[0] and not re.search(r"[ T]0?0:00(:00(\.0+)?)?Z?$", match[0]))
        if order == "xxy":
            first, second = int(match[1]), int(match[2])
            if max(first, second) > LARGEST_DAY or min(first, second) > LARGEST_MONTH or not first or not second:
                return "text"
            self.day_first += count * (first > LARGEST_MONTH)
            self.month_first += count * (second > LARGEST_MONTH)
        return order

    def _measure(self, text: str, match: re.Match[str], count: int) -> tuple[str, float | None]:
        """A number with thousands, a decimal comma or a unit; whose marks mean what, the whole file says."""
        before, figure, after = match["before"], match["number"], match["after"]
        if before or after:
            self.units[before, after] += count
        shape = ""
        if _NUMBER.match(figure):
            shape = "number"
        elif _GROUPS[","].fullmatch(figure):
            shape = "groups,"
        elif _POINT_GROUPED.fullmatch(figure):
            shape = "grouped"
        elif _GROUPS["."].fullmatch(figure):
            shape = "groups."
        elif _COMMA_DECIMAL.fullmatch(figure):
            shape = "comma"
        if not shape or (text[0] == "0" and figure.isdigit() and len(figure) > 1):
            return "text", None
        plain = figure.replace(",", "") if shape in ("groups,", "grouped") else figure
        if shape in ("groups.", "comma"):
            plain = figure.replace(".", "").replace(",", ".")
        return (f"unit {shape}" if before or after else shape), float(plain)


@dataclass
class Table:
    """The profiles of a file's columns, and a sample of its rows."""

    columns: dict[str, Profile]
    rows: int = 0
    sample: list[Row] = field(default_factory=list)

    @classmethod
    def of(cls, names: Iterable[str], rows: Iterable[Row], decimal: str = ".") -> "Table":
        """Read every row."""
        table = cls({name: Profile(name, decimal) for name in names})
        draw, chance = np.random.default_rng(0), random.Random(0)
        for block in _blocks(iter(rows)):
            for name, column in table.columns.items():
                column.take([row[name] for row in block], draw)
            for row in block:
                table._draw(row, chance)
        return table

    def _draw(self, row: Row, chance: random.Random) -> None:
        """Keep each row of the file with the same chance."""
        self.rows += 1
        place = len(self.sample) if self.rows <= SAMPLE else chance.randrange(self.rows)
        if place < SAMPLE:
            kept = {name: cell.strip()[:CELL] for name, cell in row.items()}
            self.sample[place : place + 1] = [kept]


def _blocks(rows: Iterator[Row]) -> Iterator[list[Row]]:
    while block := list(islice(rows, BLOCK)):
        yield block
