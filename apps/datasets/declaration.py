"""What a dataset is: a declaration of its columns, target and features that the rest of the code reads."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

Row = Mapping[str, str]  # a raw row: column name -> the cell's text, "" for an empty cell

Kind = Literal["number", "category", "flag", "text"]

MISSING_WORDS = (
    *("", "NA", "N/A", "n/a", "<NA>", "#NA", "#N/A", "#N/A N/A", "NaN", "nan", "-NaN", "-nan"),
    *("NULL", "null", "None", "1.#IND", "-1.#IND", "1.#QNAN", "-1.#QNAN"),
)
"""What counts as missing in every column: what pandas' read_csv takes for it."""

MOST = 1e15  # a number without bounds of its own is believed up to here: its fourth power is still a number
_REPEATED_GROUP = re.compile(r"(?<!\\)\)[*+{]")  # such a pattern may try a text of n characters 2**n times


@dataclass(frozen=True)
class Dialect:
    """
    How a person's own file is written; a batch is always commas, decimal points and UTF-8.

    ``decimal`` and ``thousands`` are the marks in the cells of ``number`` columns. An empty ``encoding`` is that of the
    file's byte order mark, or UTF-8.
    """

    separator: str = ","
    encoding: str = ""
    decimal: str = "."
    thousands: str = ""

    @property
    def plain_numbers(self) -> bool:
        """Whether a number's cell is one already."""
        return self.decimal == "." and not self.thousands

    def number(self, cell: str) -> str:
        """The cell with a decimal point and without marks for thousands, where it holds such a number."""
        if self.thousands:
            mark = re.escape(self.thousands)
            cell = re.sub(
                rf"(?<!\d)\d{{1,3}}(?:{mark}\d{{3}})+(?!\d)", lambda m: m[0].replace(self.thousands, ""), cell
            )
        return re.sub(rf"(?<=\d){re.escape(self.decimal)}(?=\d)", ".", cell) if self.decimal != "." else cell


@dataclass(frozen=True)
class Column:
    """
    One raw column and how its cell becomes a value.

    ``number``: a finite decimal; ``pattern`` is a regular expression whose first group holds it
    (``"([0-9.]+) in"`` for ``35.1 in``); no group of it may be repeated. ``category``: text. ``flag``: one of the two
    ``words``, in any case; without them True or False, which 1 and 0 mean too. ``text``: kept, never a feature.
    A cell that is one of MISSING_WORDS or ``nulls`` is missing, unless it is one of ``keep``; a missing ``required``
    column, a cell that does not parse, or a number outside ``minimum`` .. ``maximum`` rejects the request (or
    quarantines the training row).
    """

    name: str
    kind: Kind = "text"
    pattern: str = ""
    nulls: tuple[str, ...] = ()
    keep: tuple[str, ...] = ()
    words: tuple[str, str] | None = None  # True's, then False's
    required: bool = False
    minimum: float | None = None
    maximum: float | None = None

    @property
    def missing(self) -> tuple[str, ...]:
        """The texts that mean missing here; the empty one is always among them."""
        return tuple(dict.fromkeys(word for word in (*MISSING_WORDS, *self.nulls) if word not in self.keep))

    @property
    def flag_texts(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """What a flag may be written as, in lower case: for True, and for False."""
        if self.words is None:
            return ("true", "1", "1.0"), ("false", "0", "0.0")
        yes, no = self.words
        return (yes.lower(),), (no.lower(),)

    def problems(self) -> list[str]:
        """What in the declaration of this column contradicts itself."""
        problems = []
        if "" in self.keep:
            problems.append("keep must not hold the empty text; got ''; it is always missing")
        if both := sorted({*self.keep} & {*self.nulls}):
            problems.append(
                f"a text must be in nulls or in keep; got {', '.join(map(repr, both))} in both; take one out"
            )
        if _REPEATED_GROUP.search(self.pattern):
            got = f"got {self.pattern!r}; repeat single characters"
            problems.append(f"pattern must not repeat a group, or a request could hold the server up; {got}")
        if self.words and self.kind != "flag":
            problems.append(f"words must be those of a flag; got a {self.kind}; remove them, or make it a flag")
        if self.words and (self.words[0].lower() == self.words[1].lower() or {*self.words} & {*self.missing}):
            got = " and ".join(map(repr, self.words))
            problems.append(f"words must be two that differ and are not missing; got {got}; give others, or keep them")
        return [f"column {self.name}: {problem}" for problem in problems]


@dataclass(frozen=True)
class Dataset:
    """
    A named declaration; see docs/add-a-dataset.md.

    ``numeric`` maps a feature's name to a Spark SQL expression over the cleaned columns (numbers and flags are
    doubles, categories strings, missing is NULL). ``one_hot`` and ``target_encoded`` name categories: few values
    and many values. ``target`` is a ``number`` column for ``regression`` and a ``flag`` or a 0/1 number for
    ``binary``. ``log_target`` trains on the logarithm of the target (regression only). An empty ``key`` means the whole
    row.
    ``generate`` (rows, seed, drift) or ``load`` () gives the rows when the user brings no file; with neither it must be
    brought. ``dialect`` is how that file is written.
    """

    name: str
    task: Literal["regression", "binary"]
    target: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    numeric: Mapping[str, str]
    one_hot: tuple[str, ...] = ()
    target_encoded: tuple[str, ...] = ()
    log_target: bool = False
    generate: Callable[[int, int, float], Iterator[Row]] | None = None
    load: Callable[[], Iterator[Row]] | None = None
    dialect: Dialect = Dialect()
    quarantine_limit: float = 0.1
    """A batch with a larger share of bad rows is refused."""
    column_names: tuple[str, ...] = field(init=False)

    @property
    def target_bounds(self) -> tuple[float, float]:
        """Between them a true value is believed; training rows beyond them are quarantined."""
        target = self.column(self.target)
        low, high = (0, 1) if self.task == "binary" else (target.minimum, target.maximum)
        return -MOST if low is None else low, MOST if high is None else high

    def __post_init__(self) -> None:
        """Check the declaration against itself; raise ValueError with every problem."""
        names = tuple(column.name for column in self.columns)
        object.__setattr__(self, "column_names", names)
        known = set(names)
        named = {self.target, *self.key, *self.one_hot, *self.target_encoded}
        problems = [f"{self.name}: {name!r} must be a column; add it to columns" for name in sorted(named - known)]
        if len(known) != len(names):
            problems.append(f"{self.name}: column names must differ; one is there twice")
        if self.generate and self.load:
            problems.append(f"{self.name}: at most one of generate and load must be given; got both; remove one")
        problems += [f"{self.name}: {problem}" for column in self.columns for problem in column.problems()]
        if problems:
            raise ValueError("\n".join(problems))

    def column(self, name: str) -> Column:
        """The column called ``name``."""
        return self.columns[self.column_names.index(name)]
