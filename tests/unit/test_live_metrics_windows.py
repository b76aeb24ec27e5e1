"""The sums of a window: when it is settled, and what is told of errors that are no sums."""

import math
from collections import Counter

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from apps.live_metrics.windows import BINS, STEP, Sums, Windows

DRAW = np.random.default_rng(6)


def test_a_window_is_settled_when_it_is_over_and_all_outcomes_are_there_or_nothing_is_waited_for():
    """What came fast alone is no fair sample."""
    full, half, none = Sums(answers=100, labelled=100), Sums(answers=100, labelled=50), Sums(answers=2, rejections=2)

    assert full.settled(0, window_s=60, wait_s=3600, now=61)
    assert not full.settled(0, window_s=60, wait_s=3600, now=59)
    assert not half.settled(0, window_s=60, wait_s=3600, now=61)
    assert not none.settled(0, window_s=60, wait_s=3600, now=61)
    assert half.settled(0, window_s=60, wait_s=3600, now=3661)
    assert Sums(answers=110, rejections=10, labelled=99).settled(0, window_s=60, wait_s=3600, now=61)


def of_buckets(buckets):
    """The sums of so many outcomes, by two batches, kept and read again."""
    windows = Windows()
    for number, some in enumerate((buckets[::2], buckets[1::2])):
        sums = Sums(labelled=len(some), buckets=Counter(some))
        windows.add(number, [{**vars(sums), "version": "1", "window": 0, "outcomes": 0, "unreadable": 0}])
    again = Windows.from_json(windows.to_json())
    assert again == windows
    return again.sums["1", 0]


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e6])
def test_a_quantile_of_the_absolute_error_is_within_a_bucket(scale):
    """Whatever the unit of the target."""
    errors = np.abs(DRAW.normal(size=5000)) * scale
    told = of_buckets([math.ceil(math.log(error, STEP)) for error in errors]).figures("regression")

    for percent in (50, 90, 99):
        assert told[f"absolute_error_p{percent}"] == pytest.approx(np.quantile(errors, percent / 100), rel=0.06)
    assert Sums(answers=3).figures("regression")["absolute_error_p50"] is None


def test_the_area_under_the_curve_is_that_of_scikit_learn():
    """Of predictions that are no finer than their bucket, exactly; of one class it is unknown."""
    actual = DRAW.integers(0, 2, 5000)
    places = np.clip(np.round((0.35 * actual + 0.3 + 0.2 * DRAW.normal(size=5000)) * BINS), 0, BINS).astype(int)
    sums = of_buckets([int(place + (BINS + 1) * yes) for place, yes in zip(places, actual, strict=True)])

    assert sums.figures("binary")["auc"] == pytest.approx(roc_auc_score(actual, places), rel=1e-12)
    assert of_buckets([BINS + 3] * 9).figures("binary")["auc"] is None
