"""The whole guess: a file and what a person said of it become a Dataset, with a reason for each of its columns."""

import keyword
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np

from apps.common.errors import SettingsError
from apps.datasets.declaration import Column, Dataset, Dialect, Row
from apps.datasets.guessing import kinds, opened, relations
from apps.datasets.guessing.kinds import FLAGS, Guess, Wishes
from apps.datasets.guessing.profile import SAMPLE, Profile, Table
from apps.datasets.source import read_csv

Task = Literal["regression", "binary"]
CLASSES = 10  # different whole numbers of a target that may as well be classes
LOG_SPAN, LOG_SKEW = 20, 1.1
LIMIT = 0.1  # of the rows may be bad, beside those without a target
FEWEST = 5  # rows, to guess anything
_POSITIVE = {"yes", "y", "true", "t", "1", "1.0", "positive", "pos", "malignant", "churned", "default", "fraud", "bad"}
_SQL_WORDS = """
all and any array as between by case cast cross current_date current_timestamp current_user date distinct else end
exists false from full group having in inner interval is left like limit map not null on or order right select some
struct table then timestamp true union user when where with
"""
_WORDS = frozenset(_SQL_WORDS.split())  # a column of such a name stands in backticks
_DATES = {  # a category's text -> SQL that is a date, or NULL
    "ymd": "CAST(try_cast(replace({0}, '/', '-') AS TIMESTAMP) AS DATE)",
    "ym": "try_cast({0} AS DATE)",
    "compact": "to_date(left({0}, 8), 'yyyyMMdd')",
    "dmy": "to_date(translate(split({0}, ' ')[0], './', '--'), 'd-M-yyyy')",
    "mdy": "to_date(translate(split({0}, ' ')[0], './', '--'), 'M-d-yyyy')",
    "mon": "to_date(replace({0}, ',', ''), 'MMM d yyyy')",
    "dmon": "to_date(replace({0}, '-', ' '), 'd MMM yyyy')",
}
_HOUR = "hour(try_cast(replace({0}, '/', '-') AS TIMESTAMP))"


@dataclass(frozen=True)
class GuessOptions:
    """What the command was told, beside the file."""

    target: str
    name: str = ""
    task: str = ""
    key: tuple[str, ...] = ()
    no_log: bool = False
    positive: str = ""
    wishes: Wishes = field(default_factory=Wishes)


@dataclass(frozen=True)
class Draft:
    """A declaration with the reasons for it."""

    dataset: Dataset
    guesses: tuple[Guess, ...]
    table: Table
    target: str  # what was seen of the target, and the task
    positive: str  # the class whose probability is predicted; empty for a regression
    key: str  # why this key

    @property
    def checks(self) -> list[Guess]:
        """The columns that a person should look at."""
        return [guess for guess in self.guesses if guess.check]


def make(path: Path, asked: GuessOptions) -> Draft:
    """
    Guess the declaration of a file; the file is read to its end, three times at most.

    Raises SettingsError with everything that stands in the way.
    """
    written = opened.look(path)
    name = asked.name or name_for(path)
    _require_sense(path, written.names, asked, name)
    table, dialect = _read(path, written)
    if table.rows < FEWEST:
        raise SettingsError(f"{path} must have at least {FEWEST} rows to guess from; got {table.rows}; bring more")
    target, task, positive, told = _target(table.columns[asked.target], asked)
    guesses = [
        target if column.name == asked.target else kinds.guess(column, asked.wishes)
        for column in table.columns.values()
    ]
    chosen, why = (asked.key, "--key") if asked.key else relations.key(table, guesses, asked.target)
    if len(chosen) > 1 and not asked.key and not _is_unique(path, written, chosen, table.rows):
        chosen, why = (), "no column is unique that could be one; the whole row is the key"
    log = task == "regression" and not asked.no_log and _spans_magnitudes(table.columns[asked.target])
    guesses = _compared(table, guesses, asked, task, dialect.decimal, log=log)
    numeric = dict(_numeric([g for g in guesses if g.name != asked.target]))
    hot = tuple(g.name for g in guesses if g.feature == "one_hot" and g.name != asked.target)
    encoded = tuple(g.name for g in guesses if g.feature == "target_encoded" and g.name != asked.target)
    if not (numeric or hot or encoded):
        left = "; ".join(f"{g.name}: {g.reason}" for g in guesses if g.name != asked.target) or "no other column"
        raise SettingsError(f"{path} must have a column to learn from; got none ({left[:400]}); see --keep")
    gaps = 1 - _present(table.columns[asked.target]) / table.rows
    dataset = Dataset(
        name=name,
        task=task,
        target=asked.target,
        key=chosen,
        columns=tuple(guess.column for guess in guesses),
        numeric=numeric,
        one_hot=hot,
        target_encoded=encoded,
        log_target=log,
        dialect=dialect,
        quarantine_limit=round(min(0.95, gaps + LIMIT), 2) if gaps > LIMIT / 2 else LIMIT,
    )
    return Draft(dataset, tuple(guesses), table, f"{told}{', log' if log else ''}", positive, why)


def name_for(path: Path) -> str:
    """A dataset's name from a file's."""
    stem = re.sub(r"\.(csv|tsv|txt|zip|gz)", "", path.name, flags=re.IGNORECASE)
    name = re.sub(r"[^a-z0-9]+", "_", stem.lower()).strip("_")[:40] or "dataset"
    return f"data_{name}" if name[0].isdigit() or keyword.iskeyword(name) else name


def _require_sense(path: Path, names: Sequence[str], asked: GuessOptions, name: str) -> None:
    wishes = asked.wishes
    named = {
        "--target": (asked.target,),
        "--key": asked.key,
        "--keep": wishes.keep,
        "--drop": wishes.drop,
        "--numeric": wishes.numeric,
        "--categorical": wishes.categorical,
        "--date": tuple(column for column, _ in wishes.dates),
    }
    problems = [
        f"{option} must be a column of {path}; got {column!r}; it has {', '.join(names)[:400]}"
        for option, columns in named.items()
        for column in columns
        if column not in names
    ]
    for column, order in wishes.dates:
        if order not in _DATES:
            problems.append(f"--date {column} must be one of {', '.join(_DATES)}; got {order!r}; as {column}=dmy")
    if asked.target in (*asked.key, *wishes.drop):
        problems.append(
            f"the target must be neither key nor dropped; got {asked.target!r}; take it out of --key, --drop"
        )
    if asked.task not in ("", "regression", "binary"):
        problems.append(
            f"--task must be regression or binary; got {asked.task!r}; more classes than two are not served yet"
        )
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,39}", name) or keyword.iskeyword(name):
        problems.append(f"--name must be lower-case letters, digits and _, at most 40; got {name!r}; choose another")
    if problems:
        raise SettingsError("\n".join(problems))


def _read(path: Path, written: opened.Written) -> tuple[Table, Dialect]:
    """Every row; once more when its numbers turn out to have decimal commas."""
    dialect = written.dialect
    table = Table.of(written.names, read_csv(path, written.as_text, dialect))
    commas = sum(c.shapes["comma"] + c.shapes["unit comma"] for c in table.columns.values())
    points = sum(c.shapes["grouped"] + c.shapes["unit grouped"] + c.points for c in table.columns.values())
    if commas > points:
        dialect = replace(dialect, decimal=",", thousands=".")
        return Table.of(written.names, read_csv(path, written.as_text, written.dialect), ","), dialect
    grouped = ("groups,", "grouped", "unit groups,", "unit grouped")
    if any(column.shapes[shape] for column in table.columns.values() for shape in grouped):
        dialect = replace(dialect, thousands=",")
    return table, dialect


def _is_unique(path: Path, written: opened.Written, key: Sequence[str], rows: int) -> bool:
    """Whether no two rows share a key that is unique in the sample."""
    if rows <= SAMPLE:
        return True
    found = (hash(tuple(row[name] for name in key)) for row in read_csv(path, written.as_text, written.dialect))
    return len(np.unique(np.fromiter(found, np.int64))) == rows


def _target(seen: Profile, asked: GuessOptions) -> tuple[Guess, Task, str, str]:
    """The target's guess, the task, the positive class, and what to say of it."""
    nulls = kinds.nulls(seen)
    texts = seen.values
    present = sum(seen.texts[text] for text in texts) if not seen.many else seen.present
    missing = seen.rows - present
    gaps = f", {missing:,} missing" if missing else ""
    two = 2
    numeric = kinds.guess(seen, replace(asked.wishes, drop=(), keep=(), categorical=(), dates=()))
    is_number = asked.target in asked.wishes.numeric or _is_number(seen, len(nulls))
    if len(texts) < two:
        raise SettingsError(
            f"the target must have two different values; got {', '.join(texts) or 'none'} in {seen.name}"
        )
    if asked.task != "regression" and len(texts) == two and not seen.many:
        return _binary(seen, texts, nulls, asked, gaps)
    if asked.task == "binary":
        raise SettingsError(f"the target of --task binary must have two values; got {len(texts)} in {seen.name}")
    if not is_number:
        raise SettingsError(
            f"the target must be a number, or have two values; got {len(texts):,} texts in {seen.name} "
            f"({', '.join(map(repr, texts[:4]))}{' ...' if len(texts) > 4 else ''}); "  # noqa: PLR2004 - of which four are shown
            "more classes than two are not served yet: make a column that is yes or no, or choose another target"
        )
    if len(texts) <= CLASSES and not seen.fractions and asked.task != "regression":
        raise SettingsError(
            f"the task must be told; {seen.name} has {len(texts)} whole numbers, which may be amounts or classes; "
            "say --task regression for amounts; more classes than two are not served yet"
        )
    found = numeric if numeric.feature == "number" else kinds.guess(seen, Wishes(numeric=(seen.name,)))
    said = f"number, {seen.low:,.6g} .. {seen.high:,.6g}{gaps} -> regression"
    return replace(found, reason=f"target: {said}", overrule="--task", check=False), "regression", "", said


def _present(seen: Profile) -> int:
    return seen.present - seen.shapes["null"]


def _is_number(seen: Profile, nulls: int) -> bool:
    shapes = ("number", "groups,", "grouped", "unit number", "unit groups,", "unit grouped")
    values = seen.present - seen.shapes["null"] if nulls else seen.present
    return sum(seen.shapes[shape] for shape in shapes) >= (1 - kinds.FAULTY) * values


def _binary(
    seen: Profile, texts: list[str], nulls: tuple[str, ...], asked: GuessOptions, gaps: str
) -> tuple[Guess, Task, str, str]:
    positive, why = _positive(seen, texts, asked.positive)
    other = next(text for text in texts if text != positive)
    plain = {positive.lower(), other.lower()} <= {
        "true",
        "1",
        "1.0",
        "false",
        "0",
        "0.0",
    } and positive.lower() in _POSITIVE
    column = Column(seen.name, "flag", nulls=nulls, words=None if plain else (positive, other))
    share = seen.texts[positive] / (seen.texts[positive] + seen.texts[other])
    said = f"{positive!r} ({share:.1%}) or {other!r}{gaps} -> binary, the probability of {positive!r} ({why})"
    return Guess(column, "flag", f"target: {said}", "--positive", seen=seen), "binary", positive, said


def _positive(seen: Profile, texts: list[str], told: str) -> tuple[str, str]:
    if told:
        if told not in texts:
            raise SettingsError(
                f"--positive must be a value of {seen.name}; got {told!r}; it has {' and '.join(texts)}"
            )
        return told, "--positive"
    if frozenset(text.lower() for text in texts) in FLAGS:
        return next(text for text in texts if text.lower() in {"present", "on", *_POSITIVE}), "so is it called"
    if known := [text for text in texts if text.lower() in _POSITIVE]:
        return known[0], "so is it called"
    if seen.shapes["number"] == seen.present:
        return max(texts, key=float), "the larger number"
    return min(texts, key=lambda text: (seen.texts[text], text)), "the rarer one"


def _spans_magnitudes(seen: Profile) -> bool:
    numbers = seen.numbers
    if not len(numbers) or seen.low <= 0:
        return False
    low, middle, high = np.quantile(numbers, (0.001, 0.5, 0.999))
    return bool(high / low >= LOG_SPAN and numbers.mean() >= LOG_SKEW * middle)


def _compared(
    table: Table, guesses: list[Guess], asked: GuessOptions, task: Task, decimal: str, *, log: bool
) -> list[Guess]:
    """The guesses, without columns that leak the target or repeat another one unless a person keeps them."""
    cells = relations.Cells.of(table, guesses, decimal)
    wanted = cells.numbers[asked.target]
    with np.errstate(divide="ignore", invalid="ignore"):
        wanted = np.where(wanted > 0, np.log(wanted), np.nan) if log else wanted
    features = [guess for guess in guesses if guess.feature]
    found = relations.leaks(features, cells, asked.target, task, wanted)
    if log:  # a sum is one on the scale of the file
        found |= relations.identity(features, cells, asked.target, cells.numbers[asked.target], found)
    repeats = relations.same([g for g in features if not found.get(g.name, ("", False))[1]], cells, asked.target)
    return [_judged(guess, found, repeats, asked.wishes.keep) for guess in guesses]


def _judged(
    guess: Guess, leaks: Mapping[str, tuple[str, bool]], repeats: Mapping[str, str], kept: Sequence[str]
) -> Guess:
    keep = guess.overrule if guess.name in kept else f"--keep {kinds.shell(guess.name)}"
    if guess.name in leaks:
        reason, is_out = leaks[guess.name]
        if is_out and guess.name not in kept:
            return relations.left_out(guess, reason, keep)
        return replace(
            guess, reason=f"{guess.reason}; {reason}", overrule=f"--drop {kinds.shell(guess.name)}", check=True
        )
    if guess.name in repeats and guess.name not in kept:
        return relations.left_out(guess, f"same information as {repeats[guess.name]}", keep)
    return guess


def _numeric(guesses: Sequence[Guess]) -> Iterator[tuple[str, str]]:
    """The features that are numbers: name -> Spark SQL."""
    taken: set[str] = set()
    for guess in guesses:
        name, sql = kinds.snake(guess.name) or "feature", sql_name(guess.name)
        if guess.feature == "number":
            yield _new(name, taken), sql
        elif guess.feature == "flag":
            yield _new(name, taken), f"coalesce({sql}, 0)" if "counts as no" in guess.reason else sql
        elif guess.feature == "date":
            day = date_sql(guess)
            yield _new(f"{name}_day", taken), f"unix_date({day})"
            yield _new(f"{name}_month", taken), f"month({day})"
            if guess.date_order == "ymd" and guess.seen.with_time:
                yield _new(f"{name}_hour", taken), _HOUR.format(sql)


def date_sql(guess: Guess) -> str:
    """The date in a column's text, as SQL."""
    return _DATES[guess.date_order].format(sql_name(guess.name))


def sql_name(name: str) -> str:
    """A column in an expression; in backticks where it would not be read as a name."""
    return name if re.fullmatch(r"[A-Za-z_]\w*", name) and name.lower() not in _WORDS else f"`{name}`"


def _new(name: str, taken: set[str]) -> str:
    free = next(n for n in (name, *(f"{name}_{k}" for k in range(2, len(taken) + 3))) if n not in taken)
    taken.add(free)
    return free


def rows(path: Path, dataset: Dataset) -> Iterator[Row]:
    """The rows of a person's file, as the pipeline gets them."""
    return read_csv(path, dataset, dataset.dialect)
