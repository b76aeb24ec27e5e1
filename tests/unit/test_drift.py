"""Drift: what is large, and what chance explains."""

import math

import numpy as np
import pytest

from apps.common.drift import CHANCE, LARGE, of_numbers, of_words


def test_a_shift_of_numbers_is_the_index_by_hand():
    """Four tenths of the rows move from the lower half to the upper one: the missing have a bin of their own."""
    before = [1.0] * 500 + [2.0] * 500
    now = [1.0] * 100 + [2.0] * 900
    by_hand = (0.1 - 0.5) * math.log(0.1 / 0.5) + (0.9 - 0.5) * math.log(0.9 / 0.5)

    assert math.isclose(by_hand, of_numbers("x", before, now).index, rel_tol=0.01)
    assert of_numbers("x", before, now).large
    assert of_numbers("x", before, [None] * 400 + before).large


@pytest.mark.parametrize("rows", [30, 300, 3000])
def test_where_nothing_drifts_chance_explains_the_index(rows):
    """Of 400 batches from the same source next to none is beyond it, few rows or many."""
    draw = np.random.default_rng(3)
    beyond = 0
    for _ in range(200):
        old, new = draw.normal(size=rows), draw.normal(size=rows)
        words = [[str(one) for one in draw.integers(0, 8, rows)] for _ in range(2)]
        found = of_numbers("x", old, new), of_words("w", *words)
        beyond += sum(one.index > one.chance for one in found)

    assert beyond <= 400 * (1 - CHANCE) * 5
    assert not of_numbers("x", old, old).large


def test_a_large_index_of_few_rows_is_not_called_large():
    """Ten rows say nothing, and ten thousand do."""
    assert of_numbers("x", [1.0] * 5 + [2.0] * 5, [1.0] * 3 + [2.0] * 7).large is False
    assert of_numbers("x", [1.0] * 5000 + [2.0] * 5000, [1.0] * 2500 + [2.0] * 7500).index > LARGE


def test_words_that_nobody_has_seen_are_counted():
    """And shift the index, however many there are of them."""
    found = of_words("make", ["Ford"] * 80 + ["Kia"] * 20, ["Ford"] * 40 + [f"new {n}" for n in range(60)])

    assert (0.6, True) == (found.unseen, found.large)
    assert "make 3.84, 60% of it never seen before" == found.words()


def test_a_feature_that_is_always_the_same_or_never_there_does_not_drift():
    """Nor does one of a first batch, before which there is nothing."""
    assert 0 == of_numbers("x", [None] * 50, [None] * 50).index
    assert 0 == of_words("w", ["a"] * 50, ["a"] * 50).index
    assert not of_numbers("x", [], [1.0] * 50).large
    assert not of_words("w", [], ["a"] * 50).large
