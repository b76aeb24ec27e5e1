"""
A Dataset declaration as the SQL text of the pipeline's first stage: raw strings in, typed values and rejections out.

The same text cleans a training row and a request, so the two cannot drift apart. It is SQL and not code, because
a SQLTransformer is native (real-time mode allows no Python) and is stored with the model it belongs to. Inside it
the author's expressions see each column under its own name, already typed; outside only ``_b_`` names are added.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace

from apps.common.errors import SettingsError
from apps.common.messages import MAX_TEXT
from apps.common.spark import DECIMAL
from apps.common.sql_text import literal, quoted
from apps.datasets.declaration import Column, Dataset

INTERNAL = "_b_"  # every column of the pipeline between the raw ones and the last two
NUMBER, CATEGORY = f"{INTERNAL}n_", f"{INTERNAL}c_"
LABEL, CORRUPT = f"{INTERNAL}label", f"{INTERNAL}corrupt"
MISSING = "(missing)"
LARGEST = 1e15  # no sane measure is larger; it keeps infinities out of the learners' sums
SHOWN = 40  # characters of a bad value in a rejection
MAX_WORD = 64  # characters of a number's or a flag's text; a longer one does not read, and no pattern ever sees it
NAN_OF_JSON = '"NaN"'  # how Spark hands on the bare NaN that Python writes into JSON; in training no harm

_ROW, _TEXT = f"{INTERNAL}row", f"{INTERNAL}t_"


def double(value: float) -> str:
    """``value`` as a SQL number that is a double and not a decimal."""
    return f"{float(value)!r}D"


def input_columns(dataset: Dataset) -> tuple[str, ...]:
    """The raw columns that a request must be read for: those the features name and those that are required."""
    words = {word.lower() for expression in dataset.numeric.values() for word in _words(expression)}
    named = {*dataset.one_hot, *dataset.target_encoded}
    if dataset.target.lower() in words or dataset.target in named:
        message = f"{dataset.name}: features must not use the target; got {dataset.target!r}; remove it from them"
        raise SettingsError(message)
    return tuple(
        column.name
        for column in dataset.columns
        if column.name != dataset.target and (column.name in named or column.name.lower() in words or column.required)
    )


def _words(expression: str) -> set[str]:
    code = re.sub(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"", " ", expression)
    in_backticks = re.compile(r"`([^`]+)`")
    return set(in_backticks.findall(code)) | set(re.findall(r"\w+", in_backticks.sub(" ", code)))


def request_sql(dataset: Dataset) -> str:
    """The first stage of the pipeline: every raw column, ``rejection``, and the ``_b_n_`` and ``_b_c_`` features."""
    columns = [dataset.column(name) for name in input_columns(dataset)]
    numbers = [f"CAST(({text}) AS DOUBLE) AS {quoted(NUMBER + name)}" for name, text in dataset.numeric.items()]
    categories = [
        f"coalesce({quoted(name)}, {literal(MISSING)}) AS {quoted(CATEGORY + name)}" for name in categories_of(dataset)
    ]
    return _select(columns, [_rejection(columns), *numbers, *categories])


def categories_of(dataset: Dataset) -> tuple[str, ...]:
    """Every category that is a feature, once, in the order declared."""
    return tuple(dict.fromkeys((*dataset.one_hot, *dataset.target_encoded)))


def training_sql(dataset: Dataset) -> str:
    """The check of a training row: what rejects a request, and also its key, its target and its number of cells."""
    wanted = dict.fromkeys((*input_columns(dataset), *dataset.key, dataset.target))
    columns = [
        replace(column, required=True) if name == dataset.target or name in dataset.key else column
        for name, column in ((name, dataset.column(name)) for name in wanted)
    ]
    cells = literal(f"a row must have {len(dataset.columns)} cells; got another number")
    corrupt = f"CASE WHEN {_ROW}.{quoted(CORRUPT)} IS NOT NULL THEN {cells} END"
    label = quoted(dataset.target)
    return _select(columns, [_rejection(columns, (corrupt, *_label_rule(dataset))), f"{label} AS {LABEL}"])


def _label_rule(dataset: Dataset) -> Iterable[str]:
    column = dataset.column(dataset.target)
    if dataset.task == "binary" and column.kind == "number":
        yield _problem(column.name, f"{quoted(column.name)} NOT IN (0D, 1D)", "must be 0 or 1")
    if dataset.log_target:
        yield _problem(column.name, f"{quoted(column.name)} <= 0D", "must be above 0")


def _problem(name: str, condition: str, rule: str) -> str:
    shown = f"left({quoted(_TEXT + name)}, {SHOWN})"
    return f"CASE WHEN {condition} THEN concat({literal(f'{name} {rule}; got ')}, '\\'', {shown}, '\\'') END"


def _select(columns: Sequence[Column], outputs: Sequence[str]) -> str:
    """Three levels: the raw row as a struct with each cell's text, the typed values beside it, what comes out."""
    texts = ", ".join([f"struct(*) AS {_ROW}", *(f"{_text(c)} AS {quoted(_TEXT + c.name)}" for c in columns)])
    typed = ", ".join(["*", *(f"{_typed(c)} AS {quoted(c.name)}" for c in columns)])
    return f"SELECT {_ROW}.*, {', '.join(outputs)} FROM (SELECT {typed} FROM (SELECT {texts} FROM __THIS__))"  # noqa: S608 - built from the declaration


def _text(column: Column) -> str:
    cell = f"trim({quoted(column.name)})"
    missing = ", ".join(literal(null) for null in (*column.missing, NAN_OF_JSON))
    return f"CASE WHEN {cell} NOT IN ({missing}) THEN {cell} END"


def _typed(column: Column) -> str:
    text = quoted(_TEXT + column.name)
    if column.kind not in ("number", "flag"):
        return text
    word = f"CASE WHEN length({text}) <= {MAX_WORD} THEN {text} END"
    if column.kind == "flag":
        yes, no = (", ".join(map(literal, texts)) for texts in column.flag_texts)
        return f"CASE WHEN lower({word}) IN ({yes}) THEN 1D WHEN lower({word}) IN ({no}) THEN 0D END"
    if column.pattern:
        word = f"regexp_extract({word}, {literal(f'^(?:{column.pattern})$')}, 1)"
    return f"CASE WHEN {word} RLIKE {literal(DECIMAL)} THEN try_cast({word} AS DOUBLE) END"


def _rejection(columns: Sequence[Column], more: Sequence[str] = ()) -> str:
    problems = ", ".join([*more, *map(_check, columns)])
    return f"nullif(concat_ws('; ', {problems}), '') AS rejection" if problems else "CAST(NULL AS STRING) AS rejection"


def _check(column: Column) -> str:
    """SQL that gives the column's problem, NULL when it is fine."""
    text, value = quoted(_TEXT + column.name), quoted(column.name)
    absent = literal(f"{column.name} must be given; got nothing") if column.required else "NULL"
    if column.kind not in ("number", "flag"):
        long = literal(f"{column.name} must have at most {MAX_TEXT} characters; got ")
        too_long = f"WHEN length({text}) > {MAX_TEXT} THEN concat({long}, CAST(length({text}) AS STRING))"
        return f"CASE WHEN {text} IS NULL THEN {absent} {too_long} END"
    low, high = bounds(column)
    fine = f"{value} BETWEEN {double(low)} AND {double(high)}" if column.kind == "number" else f"{value} IS NOT NULL"
    bad = _problem(column.name, f"coalesce({fine}, FALSE) = FALSE", rule(column))
    return f"CASE WHEN {text} IS NULL THEN {absent} ELSE {bad} END"


def bounds(column: Column) -> tuple[float, float]:
    return (
        -LARGEST if column.minimum is None else column.minimum,
        LARGEST if column.maximum is None else column.maximum,
    )


def rule(column: Column) -> str:
    """What a number or a flag must be, as the end of a sentence."""
    if column.kind == "flag":
        yes, no = column.words or ("True", "False")
        return f"must be {yes} or {no}"
    form = f" written as {column.pattern!r}" if column.pattern else ""
    match column.minimum, column.maximum:
        case None, None:
            span = ""
        case low, None:
            span = f" of at least {low:g}"
        case None, high:
            span = f" of at most {high:g}"
        case low, high:
            span = f" {_short(low)}-{_short(high)}"
    return f"must be a number{span}{form}"


def _short(value: float | None) -> str:
    return str(int(value)) if value is not None and float(value).is_integer() else str(value)
