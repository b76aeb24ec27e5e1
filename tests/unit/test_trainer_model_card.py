"""The card of a version: what it says of every kind of model."""

from dataclasses import replace

import pytest

from apps import datasets
from apps.trainer.cleaning import input_columns
from apps.trainer.ensemble import STACKED, Ensemble, LearnerResult
from apps.trainer.model_card import card

COUNTED = {"rows": 5120, "rows_read": 6000, "rows_quarantined": 12, "rows_left_out": 868}


def ensemble(metrics, predictor=STACKED):
    """One of two learners, each with the metrics of two folds."""
    folds = [{**metrics, "training_seconds": 1.0, "validation_seconds": 0.5} for _ in range(2)]
    learners = [LearnerResult(name, name, folds, metrics, 3.25, {"seed": 17}) for name in ("linear", "forest")]
    weights = {"linear": 0.25, "forest": 0.75, "intercept": 0.5}
    return Ensemble(None, learners, weights, metrics, predictor, metrics, 26.4)


@pytest.mark.parametrize("name", ["used_cars", "boston_housing"])
def test_the_card_tells_every_learner_and_every_column_that_is_read(name):
    """And what was put aside; each table has as many cells in each line as its head."""
    dataset = datasets.get(name)
    text = card(dataset, ["b-1", "b-2"], COUNTED, ensemble({"rmse": 4995.2, "mae": 3100.0, "r2": 0.9}))

    assert "5,120 rows of 2 batches; 12 were put aside as bad, 868 left out as repeated or too many" in text
    assert "| **stacked** | 4995 | 3100 | 0.9 | 4995 | 3100 | 0.9 |  |" in text
    assert "| linear | 4995 | 3100 | 0.9 | 4995 | 3100 | 0.9 | 3.2 |" in text
    assert "linear 0.25, forest 0.75, intercept 0.5" in text
    assert [] == [name for name in input_columns(dataset) if f"| `{name}` |" not in text]
    alone = card(dataset, ["b-1"], COUNTED, ensemble({"rmse": 4995.2}, "forest"))
    assert "What predicts is **forest**." in alone
    assert "| **forest** | 4995 |  |  |" in alone
    for table in (part for part in text.split("\n\n") if part.startswith("|")):
        assert 1 == len({line.count(" | ") for line in table.splitlines()})


def test_a_rule_with_a_bar_breaks_no_table():
    """A pattern may hold one."""
    cars = datasets.get("used_cars")
    columns = [replace(one, pattern="([0-9.]+) (?:in|cm)") if one.name == "width" else one for one in cars.columns]
    text = card(replace(cars, columns=tuple(columns)), ["b-1"], COUNTED, ensemble({"rmse": 1.0}))

    assert r"(?:in\|cm)" in text
