"""The scikit-learn stack that Baton is compared with: it reads requests as Baton does, and it predicts."""

import json
import math

import pytest

from apps import datasets
from apps.batch_dropper.encoding import encode
from apps.datasets.source import write_csv
from loadtest.peer_model import RequestReader, learn

USED_CARS = datasets.get("used_cars")
REQUIRED = {"franchise_dealer": "False", "is_new": "True", "make_name": "Ford", "model_name": "F-150", "year": "2019"}


def cells(**raw):
    """Cells by their columns."""
    reader = RequestReader(USED_CARS)
    names = [column.name for column in [*reader.numbers, *reader.words]]
    return dict(zip(names, reader.read({**REQUIRED, **raw}), strict=True))


@pytest.mark.parametrize(
    ("name", "raw", "read"),
    [
        ("year", 2019, 2019.0),
        ("wheelbase", "111.2 in", 111.2),
        ("latitude", "", None),
        ("is_new", True, 1.0),
        ("franchise_dealer", "false", 0.0),
        ("owner_count", 0, 0.0),
        ("torque", "1,050 lb-ft @ 1,600 RPM", 1050.0),
        ("major_options", "['Leather Seats', 'Bluetooth', 'Alloy Wheels']", 3),
        ("body_type", "Sedan", "Sedan"),
        ("trim_name", "--", "--"),
        ("trim_name", None, "(missing)"),
    ],
)
def test_a_cell_is_read_by_its_declaration(name, raw, read):
    """Numbers with their units, flags, counts and categories; a column that no feature names is not read."""
    assert read == cells(**{name: raw}).get(name)


def test_what_is_missing_is_no_number():
    """A measure that is not given, or is one of the texts that mean so, is left to the imputing."""
    assert math.isnan(cells()["mileage"])
    assert math.isnan(cells(wheelbase="--")["wheelbase"])


def test_all_problems_of_a_request_come_at_once():
    """A missing required cell, one that does not parse, one beyond its limits."""
    with pytest.raises(ValueError, match=r"is_new must be a flag; .*year must be a number; .*make_name must be"):
        cells(year=1700, is_new="maybe", make_name="")


def test_it_learns_from_a_batch_and_answers_each_request(tmp_path):
    """From a batch as it is dropped the stack learns the prices; a bad request is rejected in its place."""
    batch = tmp_path / "part.csv"
    write_csv(batch, USED_CARS.generate(1500, 17, 0.0), USED_CARS)
    requests = [encode(USED_CARS, row).value for row in USED_CARS.generate(20, 18, 0.0)]

    model, explained = learn(USED_CARS, [batch])
    together = model.score([b"no JSON", *requests, json.dumps({"year": 2019}).encode(), b"[]"])
    alone = [one for request in requests for one in model.score([request])]

    assert 0.6 < explained < 1
    assert alone == [(pytest.approx(value), why) for value, why in together[1:21]]
    assert [None, None, None] == [value for value, _ in (together[0], *together[21:])]
    assert "is_new must be given" in together[21][1]
    assert sum(value is not None for value, _ in together) >= 18
