"""What goes into a request, an outcome and the journal."""

import json
from dataclasses import replace

import pytest

from apps.batch_dropper.encoding import encode
from apps.datasets.declaration import Column, Dataset

CARS = Dataset(
    name="cars",
    task="regression",
    target="price",
    key=("vin",),
    columns=(
        Column("vin"),
        Column("price", "number"),
        Column("mileage", "number"),
        Column("height", "number", pattern="([0-9.]+) in"),
        Column("zip", "category"),
        Column("text"),
    ),
    numeric={},
    load=lambda: iter(()),
)


def row(**cells):
    """A row with some cells filled."""
    return {name: cells.get(name, "") for name in CARS.column_names}


def test_the_target_is_never_in_a_request():
    """
    What is asked for is not told.
    """
    request = encode(CARS, row(vin="v1", price="100", mileage="5"))

    assert {"vin": "v1", "mileage": 5} == json.loads(request.value)
    assert "100" == request.outcome


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("5", "5"),
        ("5.0", "5.0"),
        ("-0.50", "-0.50"),
        ("1e5", "1e5"),
        ("12345678901234567890.123", "12345678901234567890.123"),
        ("007", '"007"'),
        ("NaN", '"NaN"'),
        (".5", '".5"'),
        ("1,000", '"1,000"'),
        (" 5", '" 5"'),
        ("5\n", '"5\\n"'),
        ("", None),
    ],
)
def test_a_plain_number_is_written_as_it_stands_in_the_file(text, written):
    """
    A server that reads the field as text reads what the file holds; what is no JSON number becomes a JSON text.
    """
    body = encode(CARS, row(mileage=text)).value.decode()

    assert body == ("{}" if written is None else f'{{"mileage": {written}}}')


def test_measures_categories_and_texts_are_written_as_text():
    """
    Only plain number columns become numbers; quotes and line breaks survive.
    """
    body = json.loads(encode(CARS, row(height="70 in", zip="00960", text='a "b"\nü')).value)

    assert {"height": "70 in", "zip": "00960", "text": 'a "b"\nü'} == body


@pytest.mark.parametrize(
    ("task", "text", "outcome"),
    [
        ("regression", "12.5", "12.5"),
        ("regression", "call us", ""),
        ("regression", "", ""),
        ("binary", "True", "1"),
        ("binary", "false", "0"),
        ("binary", "1", "1"),
        ("binary", "0.0", "0"),
        ("binary", "perhaps", ""),
    ],
)
def test_an_outcome_is_a_number_or_there_is_none(task, text, outcome):
    """
    A row whose target is missing or no number is asked for all the same, and its outcome is never known.
    """
    assert outcome == encode(replace(CARS, task=task), row(price=text)).outcome


@pytest.mark.parametrize(("text", "outcome"), [("Sold", "1"), (" open ", "0"), ("True", ""), ("1", "")])
def test_an_outcome_is_read_by_the_words_of_its_flag(text, outcome):
    """
    Where a flag has words of its own, they and no others say what came of it.
    """
    columns = (Column("vin"), Column("price", "flag", words=("sold", "open")))

    assert outcome == encode(replace(CARS, task="binary", columns=columns), row(price=text)).outcome
