"""Reading batches on a real local Spark: what the CSV reader makes of awkward files, and which rows are kept."""

from dataclasses import replace
from functools import reduce

import pytest
from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812 - the name everyone knows it by

from apps.datasets.declaration import Column, Dataset
from apps.trainer import session, train_set
from apps.trainer.settings import TrainerSettings
from apps.trainer.train_set import FOLD, TEST_FOLD

TOYS = Dataset(
    name="toys",
    task="regression",
    target="price",
    key=("id",),
    columns=(
        Column("id", "text"),
        Column("text", "text"),
        Column("weight", "number", required=True),
        Column("price", "number", minimum=0),
    ),
    numeric={"weight": "weight"},
    log_target=True,
    load=lambda: iter(()),
)
HEADER = "id,text,weight,price\n"


@pytest.fixture(scope="module")
def spark(tmp_path_factory):
    scratch = tmp_path_factory.mktemp("spark")
    started = session.start(TrainerSettings(batch="toys-0001", spark_master="local[2]", scratch=scratch))
    yield started
    started.stop()


def checked(spark, folder, dataset=TOYS, **batches):
    """The checked rows of batches, each one CSV file, with the batch of each."""
    frames = []
    for batch, text in batches.items():
        path = folder / f"{batch}.csv"
        path.write_text(text)
        rows = train_set.check(dataset, train_set.read(spark, [f"file://{path}"], dataset))
        frames.append(rows.withColumn(train_set.BATCH, F.lit(batch)))
    return reduce(DataFrame.unionByName, frames)


def rejections(frame):
    return {row["id"]: row["rejection"] for row in frame.collect()}


def test_cells_with_line_breaks_quotes_and_commas_stay_whole(spark, tmp_path):
    """A quoted cell may hold what it likes, after a byte order mark too; no cell is shifted."""
    text = "\ufeff" + HEADER + 'a,"one, ""two""\nthree",1,10\nb,plain,2,20\n'

    assert rejections(checked(spark, tmp_path, b1=text)) == {"a": None, "b": None}


def test_a_row_that_cannot_be_trained_on_says_why(spark, tmp_path):
    """A missing target, text in a number, an impossible label and a wrong number of cells each have their reason."""
    text = HEADER + "a,,1,\nb,,1,cheap\nc,,heavy,5\nd,,1,0\ne,,1\nf,,1,2,3\ng,,1,2\n"

    found = rejections(checked(spark, tmp_path, b1=text))

    assert found["a"] == "price must be given; got nothing"
    assert found["b"] == "price must be a number of at least 0; got 'cheap'"
    assert found["c"] == "weight must be a number; got 'heavy'"
    assert found["d"] == "price must be above 0; got '0'"
    assert found["e"].startswith("a row must have 4 cells")
    assert found["f"].startswith("a row must have 4 cells")
    assert found["g"] is None


def test_the_rows_of_a_batch_are_counted(spark, tmp_path):
    """A batch has its number of rows and of bad ones, and why most of those are bad."""
    first = checked(spark, tmp_path, b1=HEADER + "a,,1,1\nb,,x,1\n")
    second = checked(spark, tmp_path, b2=HEADER + "c,,1,1\n")

    assert train_set.count(first) == train_set.Counts(2, 1, "weight must be a number; got 'x'")
    assert train_set.count(second) == train_set.Counts(1, 0)


def test_only_the_bad_rows_of_the_new_batch_are_quarantined(spark, tmp_path):
    """An older batch's bad rows were quarantined when it was new."""
    frame = checked(spark, tmp_path, b1=HEADER + "a,,x,1\n", b2=HEADER + "b,,y,1\nc,,1,1\n")

    found = train_set.rejected(frame, "b2").collect()

    assert [(row["id"], row["rejection"]) for row in found] == [("b", "weight must be a number; got 'y'")]


def test_the_newest_batch_wins_a_repeated_key(spark, tmp_path):
    """A key that comes twice is kept once, as the newest batch tells it."""
    frame = checked(spark, tmp_path, b1=HEADER + "a,,1,10\nb,,1,10\n", b2=HEADER + "a,,2,20\n")

    rows = train_set.keep(TOYS, frame, folds=3, order=["b1", "b2"]).collect()

    assert {row["id"]: row["weight"] for row in rows} == {"a": "2", "b": "1"}


@pytest.mark.parametrize(
    ("older", "newer"), [("june", "july"), ("prices", "corrected-prices"), ("toys-2", "toys-10"), ("b1", "b2")]
)
def test_the_newest_batch_is_that_of_the_order_and_not_of_the_names(spark, tmp_path, older, newer):
    """A correction holds, whatever it is called."""
    frame = checked(spark, tmp_path, **{newer: HEADER + "a,,2,20\n", older: HEADER + "a,,1,10\n"})

    (row,) = train_set.keep(TOYS, frame, folds=3, order=[older, newer]).collect()

    assert row["price"] == "20"


def test_two_rows_of_one_batch_that_differ_in_the_target_alone_are_no_coin_toss(spark, tmp_path):
    """Which of them is kept follows from what they say, and not from where they stand."""
    lines = [f"a,,1,{price}\n" for price in range(10, 40)]
    kept = set()
    for number, several in enumerate((lines, lines[::-1], [*lines[15:], *lines[:15]])):
        folder = tmp_path / str(number)
        folder.mkdir()
        frame = checked(spark, folder, b1=HEADER + "".join(several)).repartition(7 + number)
        (row,) = train_set.keep(TOYS, frame, folds=3, order=["b1"]).collect()
        kept.add(row["price"])

    assert len(kept) == 1


def test_a_test_row_stays_a_test_row_as_batches_come(spark, tmp_path):
    """The fold is a function of the key: about 15 in 100 keys are for the test, and a new batch moves none."""
    first = HEADER + "".join(f"k{number},,1,1\n" for number in range(2000))
    second = HEADER + "".join(f"n{number},,1,1\n" for number in range(500))
    frame = checked(spark, tmp_path, b1=first, b2=second)

    alone = {
        row["id"]: row[FOLD]
        for row in train_set.keep(TOYS, frame.where(f"{train_set.BATCH} = 'b1'"), 3, ["b1"]).collect()
    }
    joined = {row["id"]: row[FOLD] for row in train_set.keep(TOYS, frame, 3, ["b1", "b2"]).collect()}

    assert alone.items() <= joined.items()
    assert set(alone.values()) == {TEST_FOLD, 0, 1, 2}
    assert 0.12 < sum(fold == TEST_FOLD for fold in alone.values()) / len(alone) < 0.18


def test_a_bound_takes_the_same_keys_with_all_their_rows(spark, tmp_path):
    """As many keys as there may be, in every fold; a batch more only takes some of them away, and a repeat none."""
    first = HEADER + "".join(f"k{number},,1,1\n" for number in range(600))
    second = HEADER + "".join(f"k{number},,2,2\n" for number in range(300, 900))
    frame = checked(spark, tmp_path, b1=first, b2=second, b3=first)

    def taken(most, *batches):
        of = frame.where(F.col(train_set.BATCH).isin(*batches))
        rows = train_set.keep(TOYS, train_set.bounded(TOYS, of, most), 3, list(batches)).collect()
        return {row["id"]: (row["weight"], row[FOLD]) for row in rows}

    alone, joined, all_keys = taken(400, "b1"), taken(400, "b1", "b2"), taken(10_000, "b1", "b2")

    assert [400, 400, 900] == [len(alone), len(joined), len(all_keys)]
    assert {key for key in joined if int(key[1:]) < 600} < alone.keys()
    assert joined.items() <= all_keys.items()
    assert {TEST_FOLD, 0, 1, 2} == {fold for _, fold in joined.values()}
    assert alone == taken(400, "b1", "b3")


def test_a_train_set_too_small_for_its_folds_is_named(spark, tmp_path):
    """Each part with too few rows to fit or to test on has its sentence."""
    frame = checked(spark, tmp_path, b1=HEADER + "a,,1,1\n")

    problems = train_set.shortages(TOYS, train_set.keep(TOYS, frame, 3, ["b1"]), 3)

    assert len(problems) == 4
    assert "the test part must have at least 10 usable rows" in problems[0]


def test_without_a_key_the_whole_row_is_the_key(spark, tmp_path):
    """Equal rows are kept once and have one fold in every batch; cells that changed places make another row."""
    keyless = replace(TOYS, key=())
    text = HEADER + "a,,1,10\na,,1,10\na,,2,10\n,a,1,10\n,,1,10\n"
    many = "".join(f"k{number},,1,1\n" for number in range(300))

    first = train_set.keep(keyless, checked(spark, tmp_path, keyless, b1=text + many), 3, ["b1"])
    later = checked(spark, tmp_path, keyless, b2=text + many, b3=HEADER + many + "a,,1,10\n")
    both = train_set.keep(keyless, later, 3, ["b2", "b3"])

    assert first.columns == ["weight", "price", "_b_label", train_set.BATCH, FOLD]
    assert first.count() == both.count() == 4 + 300
    folds = [sorted((row["weight"], row["price"], row[FOLD]) for row in rows.collect()) for rows in (first, both)]
    assert folds[0] == folds[1]
    assert {fold for *_, fold in folds[0]} == {TEST_FOLD, 0, 1, 2}
