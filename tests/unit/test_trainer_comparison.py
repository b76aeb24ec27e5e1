"""How much worse one model is than another: what the interval says, and what it cannot."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.trainer.comparison import Comparison, compare

MARGIN = 0.1
SEEDS = st.integers(0, 2**32 - 1)


def prices(seed, rows=400):
    """Prices, and the errors of two models as good as each other, whose errors have most of their causes in common."""
    draw = np.random.default_rng(seed)
    labels = draw.lognormal(9.8, 0.6, rows)
    common = draw.normal(0, 0.15, rows)
    own = [labels * np.exp(common + draw.normal(0, 0.05, rows)) for _ in range(2)]
    return labels, *own


@settings(max_examples=20)
@given(seed=SEEDS, rows=st.integers(10, 600))
def test_a_model_is_not_worse_than_itself(seed, rows):
    """Whatever the rows, the interval is the point nought."""
    labels, one, _ = prices(seed, rows)
    found = compare("regression", labels, one, one)

    assert (0, 0, 0, rows) == (found.low, found.worse, found.high, found.rows)


@pytest.mark.parametrize("rows", [30, 100, 400])
def test_ordinary_noise_withholds_next_to_nothing(rows):
    """Of two models as good as each other one is beyond the margin at most once in 80 comparisons, by chance."""
    withheld = 0
    for seed in range(40):
        labels, one, other = prices(seed, rows)
        withheld += compare("regression", labels, one, other).exceeds(MARGIN)
        withheld += compare("regression", labels, other, one).exceeds(MARGIN)

    assert withheld <= 1


@settings(max_examples=20)
@given(seed=SEEDS, rows=st.integers(60, 600), factor=st.floats(1.6, 100))
def test_what_is_plainly_worse_is_seen_on_few_rows(seed, rows, factor):
    """A model that says too much of everything, up to cents for dollars."""
    labels, one, other = prices(seed, rows)
    found = compare("regression", labels, one * factor, other)

    assert found.exceeds(MARGIN)
    assert found.low <= found.worse <= found.high
    assert not compare("regression", labels, other, one * factor).exceeds(MARGIN)


@settings(max_examples=10)
@given(seed=SEEDS)
def test_the_order_of_the_rows_does_not_matter(seed):
    """A training that is run again reads them in another order, and comes to the same figures to the last digit."""
    rows = np.column_stack(prices(seed, 100))
    mixed = np.random.default_rng(seed).permutation(rows)

    assert compare("regression", *rows.T) == compare("regression", *mixed.T)


@settings(max_examples=10)
@given(seed=SEEDS, scale=st.sampled_from([1e-6, 1e-2, 100.0, 1e9]))
def test_the_unit_of_the_target_does_not_matter(seed, scale):
    """In cents or in millions the share is the same."""
    rows = prices(seed, 100)
    one, other = compare("regression", *rows), compare("regression", *(values * scale for values in rows))

    assert math.isclose(one.low, other.low, rel_tol=1e-6, abs_tol=1e-9)
    assert math.isclose(one.candidate * scale, other.candidate, rel_tol=1e-6)


def test_the_interval_holds_the_true_share_about_as_often_as_it_says():
    """The share on all rows lies in the interval of 200 of them in most of 60 draws."""
    whole = prices(1, 200_000)
    true = compare_point(*whole)
    inside = 0
    for seed in range(60):
        rows = np.random.default_rng(seed).integers(0, 200_000, 200)
        found = compare("regression", *(values[rows] for values in whole))
        inside += found.low <= true <= found.high

    assert 51 <= inside < 60


def compare_point(labels, one, other):
    """The share without its interval."""
    return math.sqrt(np.square(one - labels).mean() / np.square(other - labels).mean()) - 1


def test_two_models_without_an_error_are_as_good_as_each_other():
    """Where a target follows exactly from its row, the last digits decide nothing."""
    labels = np.arange(100.0)
    found = compare("regression", labels, labels + 1e-9, labels)

    assert (0, 0) == (found.worse, found.high)
    assert compare("regression", labels, labels + 30, labels).exceeds(MARGIN)
    assert not compare("regression", np.ones(20), np.ones(20), np.ones(20)).exceeds(0)


def test_a_binary_task_is_compared_by_its_log_loss():
    """The metric of a coin is ln 2; being sure and wrong costs more, being sure and right less."""
    labels = np.tile([0.0, 1.0], 200)
    coin, right = np.full(400, 0.5), np.where(labels == 1, 0.9, 0.1)
    found = compare("binary", labels, coin, right)

    assert found.metric == "log_loss"
    assert math.isclose(math.log(2), found.candidate)
    assert found.exceeds(MARGIN)
    assert not compare("binary", labels, right, coin).exceeds(0)
    assert math.isfinite(compare("binary", labels, 1 - labels, right).low)


@pytest.mark.parametrize(("low", "worse", "withheld"), [(0.11, 0.2, True), (0.09, 0.2, False), (-0.1, -0.05, False)])
def test_only_what_chance_cannot_explain_exceeds_the_margin(low, worse, withheld):
    """It is the near end of the interval that counts, not the figure itself."""
    assert withheld is Comparison("rmse", 100, 1.2, 1.0, worse, low, 0.3).exceeds(MARGIN)


def test_a_chain_of_versions_uses_up_the_margin_once():
    """Each may be 4 % worse than the one before it; the third is not, and a better one gives back what it is better."""
    little = Comparison("rmse", 3000, 1.04, 1.0, 0.04, 0.03, 0.05)
    spent = [0.0]
    while not little.exceeds(MARGIN - spent[-1]):
        spent.append(little.spends(spent[-1], MARGIN))

    assert [0.0, 0.04, 0.08] == spent
    better, much = (Comparison("rmse", 3000, 1.0, 1.0, worse, worse, worse) for worse in (-0.05, 0.5))
    assert math.isclose(0.03, better.spends(0.08, MARGIN))
    assert 0 == better.spends(0.02, MARGIN)
    assert MARGIN == much.spends(0.0, MARGIN)


def test_the_figures_are_told_in_a_line_and_as_metrics():
    """Both models, the rows, and the interval."""
    found = Comparison("rmse", 450, 5250.04, 5000.0, 0.05, -0.012, 0.1)

    assert "rmse 5250 against 5000 on 450 rows: +5.0% (95% interval -1.2% to +10.0%)" == found.words()
    assert {"gate_rows", "gate_rmse", "gate_champion_rmse", "gate_worse", "gate_worse_low", "gate_worse_high"} == set(
        found.metrics()
    )
