"""What the trainer says of a batch's header and counts."""

import gzip

import pytest

from apps.trainer.train_set import Counts, header_problems, quarantine_problems, row_problems

COLUMNS = ("vin", "make", "price")


@pytest.mark.parametrize("header", ["vin,make,price\nA,B,1\n", '\ufeffvin,"make",price\r\nA,B,1\r\n', "vin,make,price"])
def test_a_header_as_declared_is_accepted(header):
    """Quotes, a byte order mark, Windows line ends and a missing last line end do no harm."""
    assert header_problems("part-0.csv", header.encode(), COLUMNS) == []


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ("", "must begin with a header; got an empty file"),
        ("vin,make\n", "must have 3 columns; got 2"),
        ("vin,brand,price\n", "must have the columns make; they are missing"),
        ("vin,brand,price\n", "must have no other columns; got brand"),
        ("make,vin,price\n", "must have its columns in the declared order"),
    ],
)
def test_any_other_header_is_named(header, said):
    """Each way to differ from the declaration has its own sentence."""
    problems = header_problems("part-0.csv", header.encode(), COLUMNS)

    assert any(said in problem for problem in problems)


@pytest.mark.parametrize(
    ("beginning", "said"),
    [
        (b"vin;make;price\nA;B;1\n", "part-0.csv: cells must be separated by commas; got semicolons"),
        (gzip.compress(b"vin,make,price\n", mtime=0), "part-0.csv must be CSV; got a gzip archive; unpack it"),
        ("vin,make,price\n".encode("utf-16"), "part-0.csv must be text in UTF-8; got UTF-16; write it as UTF-8"),
        (b"PAR1" + bytes(9), "part-0.csv must be CSV; got a Parquet file"),
    ],
)
def test_a_part_that_is_no_csv_has_one_sentence_with_the_cause(beginning, said):
    """Spark reads plain UTF-8 with commas; what a sender put in its place is named, and nothing follows from it."""
    (problem,) = header_problems("part-0.csv", beginning, COLUMNS)

    assert problem.startswith(said)


def test_a_first_line_without_end_is_refused_shortly():
    """Neither the csv module's limit nor the length of the reason is exceeded by what is no header at all."""
    problems = header_problems("part-0.csv", b"vin make price" * 20_000, COLUMNS)

    assert problems[0] == "part-0.csv must have 3 columns; got 1"
    assert len("; ".join(problems)) < 1000


def test_all_problems_of_a_header_come_together():
    """A header that is short and renamed gets every problem at once."""
    assert len(header_problems("part-0.csv", b"vin,brand\n", COLUMNS)) == 3


def test_a_batch_has_the_rows_that_its_manifest_promises():
    """No rows, or another number of rows than promised, is a problem; the promised number is none."""
    assert row_problems(Counts(10, 0), 10) == []
    assert "a header and nothing else" in row_problems(Counts(0, 0), 10)[0]
    assert "must have 10 rows" in row_problems(Counts(9, 0), 10)[0]


def test_too_many_bad_rows_refuse_a_batch():
    """A share at the limit passes; one row more does not."""
    assert quarantine_problems(Counts(100, 10), 0.1) == []
    assert "11 of 100, mostly because price must" in quarantine_problems(Counts(100, 11, "price must"), 0.1)[0]
