"""The first stage on a real local Spark: texts that nobody writes by mistake take no longer than any other."""

import pytest
from pyspark.ml.feature import SQLTransformer

from apps import datasets
from apps.common.messages import MAX_TEXT
from apps.datasets.declaration import Column, Dataset
from apps.trainer import session, train_set
from apps.trainer.cleaning import MAX_WORD, input_columns, request_sql
from apps.trainer.settings import TrainerSettings

DIGITS = "1" * 60_000 + "x"  # for a pattern that backtracks this is 1.8e9 steps, 41 s when it was measured
TOYS = Dataset(
    name="toys",
    task="regression",
    target="price",
    key=("id",),
    columns=(
        Column("id", "text"),
        Column("weight", "number", pattern="([0-9.]+) g"),
        Column("colour", "category"),
        Column("new", "flag"),
        Column("price", "number"),
    ),
    numeric={"weight": "weight", "new": "new"},
    one_hot=("colour",),
    load=lambda: iter(()),
)


@pytest.fixture(scope="module")
def spark(tmp_path_factory):
    """A session with the trainer's settings."""
    scratch = tmp_path_factory.mktemp("spark")
    started = session.start(TrainerSettings(batch="toys-0001", spark_master="local[2]", scratch=scratch))
    yield started
    started.stop()


def rejections(spark, dataset, rows):
    """What the first stage says to each row of fields."""
    columns = input_columns(dataset)
    schema = ", ".join(f"`{name}` STRING" for name in columns)
    frame = spark.createDataFrame([tuple(row.get(name) for name in columns) for row in rows], schema).coalesce(1)
    return [row["rejection"] or "" for row in SQLTransformer(statement=request_sql(dataset)).transform(frame).collect()]


@pytest.mark.timeout(60)
@pytest.mark.parametrize("name", datasets.names())
def test_digits_without_end_are_rejected_at_once_in_every_number(spark, name):
    """
    Sixty thousand digits and a letter, in each number column of each dataset by itself.
    """
    dataset = datasets.get(name)
    numbers = [column for column in input_columns(dataset) if dataset.column(column).kind == "number"]

    found = rejections(spark, dataset, [{column: DIGITS} for column in numbers])

    assert numbers
    for column, rejection in zip(numbers, found, strict=True):
        assert f"{column} must be a number" in rejection
        assert f"; got '{DIGITS[:40]}'" in rejection


def test_a_text_has_a_longest_length(spark):
    """
    A number's and a flag's is that of a word; a category's is longer, and the sentence says how long it was.
    """
    rows = [
        {"weight": f"{'0' * (MAX_WORD - 4)}75 g", "new": "1", "colour": "x" * MAX_TEXT},
        {"weight": f"{'0' * (MAX_WORD - 3)}75 g", "new": "0" * 100, "colour": "x" * (MAX_TEXT + 1)},
    ]

    fine, bad = rejections(spark, TOYS, rows)

    assert fine == ""
    assert "weight must be a number" in bad
    assert "new must be True or False" in bad
    assert f"colour must have at most {MAX_TEXT} characters; got {MAX_TEXT + 1}" in bad


@pytest.mark.timeout(60)
def test_a_cell_of_a_million_digits_is_quarantined(spark, tmp_path):
    """
    A batch's row is judged as quickly as a request is.
    """
    part = tmp_path / "toys-0001" / "part-0.csv"
    part.parent.mkdir()
    part.write_text(f"id,weight,colour,new,price\na,75 g,red,1,{'1' * 1_000_000}x\nb,75 g,red,1,10\n")

    checked = train_set.check(TOYS, train_set.read(spark, [f"file://{part}"], TOYS)).collect()

    assert [row["id"] for row in checked if row["rejection"]] == ["a"]
    assert len(checked) == 2
