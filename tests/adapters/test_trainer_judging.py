"""What ``datasets check`` says without Spark is what a training does; the dates that ``new`` writes are dates."""

import csv
from collections.abc import Iterable

import pytest
from pyspark.sql import functions as F  # noqa: N812 - the name everyone knows it by

from apps.common.sql_statements import statement_problems
from apps.datasets.declaration import Column, Dataset
from apps.datasets.guessing import draft
from apps.datasets.guessing.draft import GuessOptions
from apps.datasets.guessing.kinds import Wishes
from apps.trainer import session, train_set
from apps.trainer.cleaning import request_sql, training_sql
from apps.trainer.judging import judge
from apps.trainer.settings import TrainerSettings

CELLS = (
    *(
        "",
        "NA",
        "nan",
        '"NaN"',
        " 7 ",
        "7",
        "-7",
        "+7.5",
        ".5",
        "5.",
        "1e3",
        "1e999",
        "0x10",
        "inf",
        "1,5",
        "٣",
        "7\u00a0",
    ),
    *(
        "True",
        "false",
        "1",
        "0",
        "1.0",
        "yes",
        "No",
        "YES",
        "35.1 in",
        "35 in",
        " in",
        "35.1  in",
        "--",
        "1e16",
        "-1e16",
    ),
    *("0" * 64, "0" * 65, "1" * 64 + " in", "x" * 4096, "x" * 4097, "a\nb", '"q"', "2021-03-07", "NULL", "null"),
)
ODD = Dataset(
    name="odd",
    task="regression",
    target="y",
    key=("id",),
    columns=(
        Column("id"),
        Column("plain", "number"),
        Column("bounded", "number", minimum=0, maximum=100),
        Column("inches", "number", pattern="([0-9.]+) in", nulls=("--",)),
        Column("flag", "flag"),
        Column("words", "flag", words=("yes", "no")),
        Column("category", "category", keep=("NA",)),
        Column("needed", "category", required=True),
        Column("y", "number"),
    ),
    numeric={name: name for name in ("plain", "bounded", "inches", "flag", "words")},
    one_hot=("category",),
    log_target=True,
)


@pytest.fixture(scope="module")
def spark(tmp_path_factory):
    """A session with the trainer's settings."""
    scratch = tmp_path_factory.mktemp("spark")
    started = session.start(TrainerSettings(batch="odd-0001", spark_master="local[2]", scratch=scratch))
    yield started
    started.stop()


def write(path, names: Iterable[str], rows):
    """A batch's part."""
    path.parent.mkdir(exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        out = csv.writer(file)
        out.writerow(names)
        out.writerows(rows)
    return path


def test_a_row_is_judged_without_spark_as_a_training_judges_it(spark, tmp_path):
    """
    Each odd cell in each kind of column: the same rows are quarantined, by the same columns.
    """
    good = {"id": "a", "needed": "b", "y": "1"}
    rows = [
        good | {"id": f"{name} {place}", name: cell} for name in ODD.column_names for place, cell in enumerate(CELLS)
    ]
    cells = [[row.get(name, "") for name in ODD.column_names] for row in rows]
    part = write(tmp_path / "odd-0001" / "part-0001.csv", ODD.column_names, cells)

    checked = train_set.check(ODD, train_set.read(spark, [f"file://{part}"], ODD)).collect()
    theirs = sorted((row["rejection"] or "").split("; got")[0] for row in checked)
    ours = sorted(next(iter(judge(ODD, [dict(zip(ODD.column_names, row, strict=True))]).rules), "") for row in cells)

    assert len(rows) == len(checked) > 300
    assert len(set(ours)) > 10
    assert ours == theirs


def test_every_date_that_is_guessed_is_one_for_spark(spark, tmp_path):
    """
    The 7th of March 2021 in each order, at 13 o'clock where there are times; and a cell that is no date is missing.
    """
    written = {
        "iso": ("2021-03-07", "2021-04-29"),
        "slashes": ("2021/03/07 13:00", "2021/04/29 02:00"),
        "instant": ("2021-03-07T13:00:00Z", "2021-04-29T02:00:00Z"),
        "dmy": ("07.03.2021", "29.04.2021"),
        "loose": ("7/3/2021", "29/4/2021"),
        "mdy": ("03/07/2021", "04/29/2021"),
        "told": ("07-03-2021", "08-04-2021"),
        "named": ("Mar 7, 2021", "Apr 29, 2021"),
        "dmon": ("7-Mar-2021", "29-Apr-2021"),
        "compact": ("20210307", "20210429", "20201231"),
    }
    rows = [[pair[n % len(pair)] for pair in written.values()] + [f"{n % 13}.5"] for n in range(60)]
    path = write(tmp_path / "dates" / "dates.csv", [*written, "y"], rows)
    dataset = draft.make(path, GuessOptions("y", wishes=Wishes(dates=(("told", "dmy"),)))).dataset
    statement = request_sql(dataset)
    columns = ", ".join(f"`{name}` STRING" for name in dataset.column_names)
    bad = [*("99.99.2021 x" for _ in written), "1"]
    spark.createDataFrame([tuple(rows[0]), tuple(bad)], columns).createOrReplaceTempView("dates")
    found = spark.sql(statement.replace("__THIS__", "dates")).withColumn("nr", F.monotonically_increasing_id())
    first, second = found.orderBy("nr").collect()
    days = {name for name in dataset.numeric if name.endswith("_day")}

    assert {f"{name}_day" for name in written} == days
    assert dict.fromkeys(days, 18693) == {name: first[f"_b_n_{name}"] for name in days}
    assert {3} == {first[f"_b_n_{name}_month"] for name in written}
    assert {13} == {first[f"_b_n_{name}_hour"] for name in ("slashes", "instant")}
    assert {None} == {second[f"_b_n_{name}"] for name in days}
    assert [] == statement_problems(spark, statement) + statement_problems(spark, training_sql(dataset))
