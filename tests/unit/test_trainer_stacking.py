"""How much each learner counts."""

import numpy as np
import pytest

from apps.trainer.stacking import Stacker, fit

DRAW = np.random.default_rng(1)
TRUTH = DRAW.normal(size=4000)
NOISE = DRAW.normal(size=(4000, 2))


def test_the_better_learner_counts_for_more():
    """Two learners with errors of their own are averaged by how large these are, and the mean is what it was."""
    predictions = TRUTH[:, None] + NOISE * [0.2, 0.6] - 3

    found = fit("regression", ["a", "b"], predictions, TRUTH)

    assert 0.8 < found.weights["a"] < 0.95
    assert 0.05 < found.weights["b"] < 0.2
    assert found.intercept == pytest.approx(3, abs=0.2)


@pytest.mark.parametrize("task", ["regression", "binary"])
def test_no_learner_counts_against_another(task):
    """One that errs as another does and more would get a negative weight, and is left out of what is served."""
    first = TRUTH + 0.5 * NOISE[:, 0]
    predictions = np.column_stack([first, first + 0.5 * NOISE[:, 0]])
    target = (DRAW.random(4000) < 1 / (1 + np.exp(-4 * TRUTH))).astype(float) if task == "binary" else TRUTH

    found = fit(task, ["a", "b"], predictions, target)

    assert found.weights["b"] == 0
    assert ["a"] == found.outputs


def test_odds_are_stretched_to_what_they_are_worth():
    """A learner of two classes whose odds are twice too sure gets half the weight."""
    target = (DRAW.random(4000) < 1 / (1 + np.exp(-(TRUTH + 1)))).astype(float)

    found = fit("binary", ["a"], 2 * TRUTH[:, None], target)

    assert found.weights["a"] == pytest.approx(0.5, abs=0.05)
    assert found.intercept == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize("task", ["regression", "binary"])
def test_a_learner_without_an_opinion_is_no_harm(task):
    """One that says the same of every row counts for nothing, or for nothing that is not finite."""
    target = (TRUTH > 0).astype(float)

    found = fit(task, ["a", "b"], np.column_stack([np.full(4000, 5.0), 40 * TRUTH]), target)

    assert np.isfinite([*found.weights.values(), found.intercept]).all()
    assert "b" in found.outputs


def test_the_sql_names_only_what_counts():
    """A column of weight 0 is not asked for, since it is not served; one alone is taken as it is."""
    assert "1.0D + 0.5D * `_b_a`" == Stacker({"_b_a": 0.5, "_b_b": 0.0}, 1.0).sql
    assert "0.0D + 1.0D * `_b_a`" == Stacker.alone("_b_a").sql
