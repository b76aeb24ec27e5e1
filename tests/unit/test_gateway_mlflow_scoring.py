"""MLflow's scoring protocol: each of its forms is the same rows."""

import csv
import json

import pytest

from apps.gateway.asking import AnsweredRow
from apps.gateway.bodies import values
from apps.gateway.mlflow_scoring import CSV, JSON, decode, encode
from apps.gateway.remembered import Reply
from apps.gateway.turned_away import TurnedAway

MOST = 3  # rows
TABLE = [{"a": 1, "b": "x"}, {"a": 2}]


def rows(body, kind=JSON):
    """What Kafka is sent."""
    content = body if isinstance(body, str) else json.dumps(body)
    return [json.loads(value) for value in values(decode(content.encode(), kind, ["a", "b"], MOST))]


@pytest.mark.parametrize(
    "body",
    [
        {"dataframe_split": {"index": [0, 1], "columns": ["a", "b"], "data": [[1, "x"], [2, None]]}},
        {"dataframe_records": [{"a": 1, "b": "x"}, {"a": 2, "b": float("nan")}]},
        {"inputs": {"a": [1, 2], "b": ["x", None]}},
        {"inputs": {"a": [[1], [2]], "b": [["x"], [None]]}},
        {"inputs": [[1, "x"], [2, None]]},
        {"instances": [{"a": 1, "b": "x"}, {"a": 2}]},
        {"instances": [[1, "x"], [2, None]], "params": {}},
    ],
)
def test_each_form_is_the_same_rows(body):
    """
    What is missing is left out.
    """
    assert TABLE == rows(body)


def test_csv_has_a_header_and_its_cells_are_texts():
    """
    As a file of a batch has them: the server reads the same text as a training would.
    """
    assert [{"a": "1", "b": 'x, "y"\nz'}, {"a": "02"}] == rows(
        '\ufeffa,b\n1,"x, ""y""\nz"\n02,\n', f"{CSV}; charset=utf-8"
    )


@pytest.mark.parametrize(
    ("body", "kind", "words"),
    [
        ("{", JSON, "the body must be JSON"),
        ("[" * 100_000, JSON, "the body must be JSON"),
        ("1" * 5000, JSON, "the body must be JSON"),
        ([], JSON, "an object with one of dataframe_split"),
        ({"instances": [], "inputs": []}, JSON, "got ['inputs', 'instances']"),
        ({"instances": []}, JSON, "at least one row"),
        ({"inputs": {}}, JSON, "at least one row"),
        ({"inputs": {"a": [1], "b": []}}, JSON, "as many rows in each column"),
        ({"instances": [1]}, JSON, "row 0 must be an object, or a list of the 2"),
        ({"dataframe_records": [[1, 2]]}, JSON, "a list of objects"),
        ({"dataframe_split": {"columns": ["a", "a"], "data": []}}, JSON, "names that differ"),
        ({"dataframe_split": {"columns": ["a"], "data": [[1], [1, 2]]}}, JSON, "row 1 must have a cell for each of 1"),
        ("a,b\n1\n", CSV, "row 0 must have a cell"),
        ("", CSV, "at least one row"),
        ("a\n" + "x" * 200_000, CSV, "the body must be CSV"),
        ("{}", "application/xml", "Content-Type must be"),
    ],
)
def test_what_is_no_table_is_refused(body, kind, words):
    """
    With the place that is wrong.
    """
    before = csv.field_size_limit(100_000)  # of the process: what reads files of batches raises it
    try:
        with pytest.raises(TurnedAway) as refused:
            rows(body, kind)
    finally:
        csv.field_size_limit(before)

    assert words in str(refused.value)
    assert refused.value.status in (400, 415)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ({"dataframe_records": [{}, {}, {}, 4]}, JSON),
        ({"instances": [4, 4, 4, 4]}, JSON),
        ({"inputs": [4, 4, 4, 4]}, JSON),
        ({"inputs": {"a": [1, 2, 3, 4], "b": [1]}}, JSON),
        ({"dataframe_split": {"columns": 4, "data": [4, 4, 4, 4]}}, JSON),
        ("a\n1\n2\n3\n4\n" + "x" * 200_000, CSV),
    ],
)
def test_more_rows_than_ever_wait_are_counted_and_not_looked_at(body, kind):
    """
    Each of these is no table either, of which nothing is said; CSV is read no further than one row too many.
    """
    with pytest.raises(TurnedAway, match="a request must have at most 3 rows") as refused:
        rows(body, kind)

    assert 413 == refused.value.status


def test_more_columns_than_any_dataset_has_are_refused():
    """
    In each form: cells are bounded as rows are.
    """
    names = [f"x{number}" for number in range(257)]
    split, record = {"columns": names, "data": []}, dict.fromkeys(names)
    for body in ({"dataframe_split": split}, {"inputs": {name: [] for name in names}}, {"instances": [record]}):
        with pytest.raises(TurnedAway, match="a row must have at most 256 columns") as refused:
            rows(body)
        assert 413 == refused.value.status


def test_rows_are_made_no_further_than_the_first_that_is_too_large():
    """
    A row of 64 KiB may come a thousand times in a short body, where its names are said once.
    """
    made = []

    def lazily():
        for number in range(3):
            made.append(number)
            yield {"a": "x" * 70_000}

    with pytest.raises(TurnedAway, match="in row 0"):
        values(lazily())
    assert [0] == made


def test_a_row_that_no_server_takes_is_refused_by_its_number():
    """
    It is larger than a request may be.
    """
    with pytest.raises(TurnedAway, match="in row 1") as refused:
        rows({"dataframe_records": [{"a": 1}, {"a": "x" * 70_000}]})

    assert (413, 1) == (refused.value.status, refused.value.told["row"])


def test_rejected_rows_are_null_and_listed_and_alone_they_are_422():
    """
    A client of MLflow reads predictions, and finds the list beside.
    """
    fine, bad = (AnsweredRow("r", one) for one in (Reply(5.5, None, "3", 7), Reply(None, "bad", "3", 7)))

    assert {"predictions": [5.5]} == encode("a", [fine])
    told = encode("a", [fine, bad])
    assert ([5.5, None], [1]) == (told["predictions"], [one["row"] for one in told["rejections"]])
    with pytest.raises(TurnedAway, match="row 0: bad") as refused:
        encode("a", [bad])
    assert (422, [None]) == (refused.value.status, refused.value.told["predictions"])
