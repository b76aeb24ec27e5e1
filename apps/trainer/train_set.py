"""
From CSV parts to the train set: every row read as text, checked by the declaration, kept once, and given its fold.

Spark reads each cell as a string, because only strings survive a source whose types lie; the declaration types them.
"""

import csv
import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pyspark
from pyspark.ml.feature import SQLTransformer
from pyspark.sql import Column, DataFrame, SparkSession, Window
from pyspark.sql import functions as F  # noqa: N812 - the name everyone knows it by

from apps.common.sql_text import quoted
from apps.datasets.declaration import Dataset
from apps.datasets.opening import UTF_8, content_problem, encoding_of
from apps.datasets.source import separator_problems
from apps.trainer.cleaning import CORRUPT, INTERNAL, LABEL, input_columns, training_sql

BATCH = f"{INTERNAL}batch"
FOLD = f"{INTERNAL}fold"  # the number of a row's fold, or TEST_FOLD
TEST_FOLD = -1
ROW_KEY = f"{INTERNAL}row_key"  # stands for the key of a dataset that names none
ROWS_SHA256 = "rows_sha256"  # in a version's contract
_TEST_SHARE, _BUCKETS = 0.15, 1_000_000
_HEADER_BYTES = 100_000  # no header is longer, and no cell that Python's csv module would refuse
_SHOWN = 400  # characters of a header that is wrong
_FEWEST = 10  # rows in a fold, and in the test part
_CHECKED_FORMAT = 2  # one more when ``read`` or ``check`` makes something else of the same CSV


@dataclass(frozen=True)
class Counts:
    """Rows of one batch: all, those that its rules reject, and the commonest reason."""

    rows: int
    quarantined: int
    reason: str = ""


def header_problems(part: str, beginning: bytes, columns: Sequence[str]) -> list[str]:
    """What is wrong with the header of a CSV part, given its first bytes; UTF-8's byte order mark is no harm."""
    if problem := content_problem(beginning):
        return [f"{part} {problem}"]
    if (encoding := encoding_of(beginning)) != UTF_8:
        return [f"{part} must be text in UTF-8; got {encoding.upper()}; write it as UTF-8"]
    lines = _lines(beginning)
    if problems := separator_problems(lines[0] if lines else "", columns):
        return [f"{part}: {problem}" for problem in problems]
    found = header(beginning)
    if not found:
        return [f"{part} must begin with a header; got an empty file"]
    problems = []
    if len(found) != len(columns):
        problems.append(f"{part} must have {len(columns)} columns; got {len(found)}")
    if missing := [name for name in columns if name not in found]:
        problems.append(f"{part} must have the columns {', '.join(missing)}; they are missing")
    if unknown := [name for name in found if name not in columns]:
        problems.append(f"{part} must have no other columns; got {', '.join(unknown)[:_SHOWN]}")
    if not problems and list(columns) != found:
        problems.append(f"{part} must have its columns in the declared order; got {', '.join(found)}")
    return problems


def header(beginning: bytes) -> list[str]:
    """The columns of a CSV part, given its first bytes."""
    return next(csv.reader(_lines(beginning)), [])


def _lines(beginning: bytes) -> list[str]:
    return beginning[:_HEADER_BYTES].decode(UTF_8, errors="replace").splitlines(keepends=True)


def read(spark: SparkSession, paths: Sequence[str], dataset: Dataset, columns: Sequence[str] = ()) -> DataFrame:
    """
    Every row of the CSV files at ``paths`` as text, with what broke it.

    The files have ``columns``, by default the declared: Spark takes them by their places. A declared one that the files
    have not is missing in each row.
    """
    columns = columns or dataset.column_names
    schema = ", ".join(f"{quoted(name)} STRING" for name in (*columns, CORRUPT))
    rows = spark.read.csv(
        list(paths),
        schema=schema,
        header=True,
        multiLine=True,
        escape='"',
        mode="PERMISSIVE",
        columnNameOfCorruptRecord=CORRUPT,
    )
    if list(columns) == list(dataset.column_names):
        return rows
    nothing = F.lit(None).cast("string")
    cells = (F.col(quoted(name)) if name in columns else nothing.alias(name) for name in dataset.column_names)
    return rows.select(*cells, CORRUPT)


def check(dataset: Dataset, raw: DataFrame) -> DataFrame:
    """The columns that training needs, as text, with ``rejection`` and ``_b_label``."""
    keyed = raw if dataset.key else raw.withColumn(ROW_KEY, _hash_of(dataset.column_names))
    checked = SQLTransformer(statement=training_sql(dataset)).transform(keyed)
    return checked.select(*map(quoted, _checked_types(dataset)))


def checked_schema(dataset: Dataset) -> str:
    """The columns of checked rows with their types, as Spark's DDL."""
    return ", ".join(f"{quoted(name)} {kind}" for name, kind in _checked_types(dataset).items())


def _checked_types(dataset: Dataset) -> dict[str, str]:
    texts = dict.fromkeys((*input_columns(dataset), *_key(dataset), dataset.target), "STRING")
    added = {} if dataset.key else {ROW_KEY: "BIGINT"}
    return {**texts, **added, "rejection": "STRING", LABEL: "DOUBLE", CORRUPT: "STRING"}


def checked_sha256(dataset: Dataset) -> str:
    """What stands for all that decides what is made of a batch's CSV: the declaration, and what applies it."""
    decides = [_CHECKED_FORMAT, pyspark.__version__, training_sql(dataset), dataset.column_names, dataset.key]
    return hashlib.sha256(json.dumps(decides).encode()).hexdigest()


def _key(dataset: Dataset) -> tuple[str, ...]:
    return dataset.key or (ROW_KEY,)


def _hash_of(names: Iterable[str]) -> Column:
    """64 bits of these cells: no two of a million rows share them by chance; a NULL would not count, hence the text."""
    return F.xxhash64(*(F.coalesce(quoted(name), F.lit("")) for name in names))


def count(checked: DataFrame) -> Counts:
    """Count the rows of one batch."""
    bad = F.col("rejection")
    (row,) = checked.agg(F.count(F.lit(1)).alias("rows"), F.count(bad).alias("bad"), F.mode(bad).alias("why")).collect()
    return Counts(row["rows"], row["bad"], row["why"] or "")


def row_problems(mine: Counts, promised: int) -> list[str]:
    """What is wrong with the number of rows of a batch; ``promised`` is what its manifest says."""
    if not mine.rows:
        return ["the batch must have rows; got a header and nothing else"]
    if mine.rows != promised:
        return [f"the batch must have {promised} rows as its manifest says; got {mine.rows}"]
    return []


def quarantine_problems(mine: Counts, limit: float) -> list[str]:
    """Whether too many rows of a batch are bad."""
    if mine.quarantined > limit * mine.rows:
        got = f"{mine.quarantined} of {mine.rows}, mostly because {mine.reason}"
        return [f"at most {limit:.0%} of the rows may be bad; got {got}; quarantine has each with its reason"]
    return []


def rejected(checked: DataFrame, batch: str) -> DataFrame:
    """The bad rows of one batch, each with its reason."""
    return checked.where((F.col(BATCH) == batch) & F.col("rejection").isNotNull()).drop(LABEL, BATCH, ROW_KEY)


def bounded(dataset: Dataset, checked: DataFrame, most: int) -> DataFrame:
    """
    The rows of ``most`` keys at most: those with the lowest hash, which is another than that of the fold.

    So as batches are added a key may fall out, and none that fell out comes back.
    """
    place = F.xxhash64(F.lit("sample"), *map(quoted, _key(dataset)))
    keys = checked.where("rejection IS NULL").select(place.alias("place")).distinct()
    (highest,) = keys.orderBy("place").limit(most).agg(F.max("place")).collect()
    return checked.where(place <= F.lit(highest[0]))


def keep(dataset: Dataset, checked: DataFrame, folds: int, order: Sequence[str]) -> DataFrame:
    """
    The good rows, once for each key, with ``_b_fold``; ``order`` names the batches, the oldest first.

    The newest batch wins. Of two rows of one batch one is chosen by all that they say, the target too, so that it is
    always the same. The fold is a function of the key alone: a row that was a test row once stays one as batches are
    added.
    """
    key = [quoted(name) for name in _key(dataset)]
    age = F.array_position(F.lit(list(order)), F.col(BATCH))
    newest = Window.partitionBy(*key).orderBy(F.desc(age), _hash_of((*input_columns(dataset), dataset.target)))
    bucket = F.pmod(F.xxhash64(*key), F.lit(_BUCKETS))
    fold = F.when(bucket < int(_TEST_SHARE * _BUCKETS), F.lit(TEST_FOLD)).otherwise(bucket % folds)
    return (
        checked.where("rejection IS NULL")
        .withColumn(FOLD, F.row_number().over(newest))
        .where(F.col(FOLD) == 1)
        .drop("rejection", CORRUPT)
        .withColumn(FOLD, fold.cast("int"))
        .drop(ROW_KEY)
    )


def rows_sha256(dataset: Dataset) -> str:
    """
    What stands for all that decides which rows are kept, their label, and which of them are test rows.

    Where two versions have the same, no test row of one was fitted by the other, and both read it.
    """
    decides = [training_sql(dataset), dataset.task, dataset.target, list(dataset.key), _TEST_SHARE, _BUCKETS]
    return hashlib.sha256(json.dumps(decides).encode()).hexdigest()


def shortages(dataset: Dataset, rows: DataFrame, folds: int) -> list[str]:
    """What is too little in the train set to cross-validate and test on it."""
    grouped = rows.groupBy(FOLD).agg(F.count(LABEL).alias("n"), F.sum(LABEL).alias("k")).collect()
    found = {row[FOLD]: row for row in grouped}
    problems = []
    for fold in (TEST_FOLD, *range(folds)):
        part = "the test part" if fold == TEST_FOLD else f"fold {fold}"
        n, k = (found[fold]["n"], found[fold]["k"]) if fold in found else (0, 0)
        if n < _FEWEST:
            problems.append(f"{part} must have at least {_FEWEST} usable rows; got {n}")
        elif dataset.task == "binary" and not 0 < k < n:
            problems.append(f"{part} must have rows of both classes; got {int(k)} of class 1 in {n}")
    return problems
