"""Drift of requests and predictions by version and window: what is kept, what is told, and what is added once."""

import numpy as np
import pytest

from apps.common.drift import Baseline
from apps.live_metrics.drift_windows import DriftWindows, counted

DRAW = np.random.default_rng(4)
USUAL, HOUR = DRAW.normal(size=4000), 3600
BASELINES = {"1": {"size": Baseline.of_numbers(USUAL), "make": Baseline.of_words(["Ford"] * 50 + ["Kia"] * 50)}}


def counts(shift=0.0, make="Ford", rows=1000):
    """What so many requests add."""
    size, make_ = (BASELINES["1"][name].bins for name in ("size", "make"))
    return {"size": size.count(DRAW.normal(size=rows) + shift), "make": make_.count(["Kia", make] * (rows // 2))}


@pytest.fixture
def windows():
    return DriftWindows(["r", "a"], HOUR, version="1")


def test_a_window_is_held_against_the_baseline_and_against_the_window_before(windows):
    """The first hour is as usual; in the second one feature moves, and half of a category is a new word."""
    windows.add(0, {("1", 0): counts()})
    windows.add(1, {("1", HOUR): counts(shift=1.0, make="Lada")})

    usual, moved = (dict(windows.records(BASELINES))["1", start] for start in (0, HOUR))
    assert ([], 1000) == (usual["large"], usual["rows"])
    assert "consecutive" not in usual["features"]["size"]
    assert {"size", "make"} == set(moved["large"])
    size = moved["features"]["size"]
    assert size["baseline"] == pytest.approx(size["consecutive"], rel=0.3)
    assert min(size["baseline"], size["consecutive"]) > 0.5
    assert size["consecutive_chance"] > size["baseline_chance"]
    assert ("1", HOUR) == windows.told("1")


def test_a_batch_that_comes_again_is_not_added_and_what_is_kept_is_read_again(windows):
    """As after a kill."""
    for batch in (0, 1, 1, 0):
        windows.add(batch, {("1", 0): counts()})
    again = DriftWindows.from_json(windows.to_json())

    assert [2000, 2000] == [int(one.sum()) for one in again.counts["1", 0].values()]
    assert (again.batch, again.topics, again.window_s, again.version) == (1, ["r", "a"], HOUR, "1")
    assert list(again.records(BASELINES)) == list(windows.records(BASELINES))


def test_of_each_version_the_newest_window_and_the_one_before_are_kept(windows):
    """However long it runs."""
    for hour in range(50):
        windows.add(hour, {(version, hour * HOUR): counts(rows=10) for version in ("1", "2")})

    assert {(version, hour * HOUR) for version in ("1", "2") for hour in (48, 49)} == windows.counts.keys()
    assert {"1"} == {version for version, _ in dict(windows.records(BASELINES))}  # of 2 nothing else is known


def test_rows_are_counted_by_window_and_a_feature_without_a_baseline_is_passed_over():
    """A version that a person made champion may have no baseline of its predictions."""
    rows = [(0, 0.0, "Ford", 7.0), (0, None, "Lada", 8.0), (HOUR, 0.0, None, 9.0)]
    found = counted(BASELINES["1"], ["size", "make", "prediction"], rows)

    assert {0: 2, HOUR: 1} == {start: int(one["size"].sum()) for start, one in found.items()}
    assert [1, 0, 1] == found[0]["make"].tolist()
    assert {"size", "make"} == found[0].keys()
    assert {0: {}} == counted({}, ["prediction"], [(0, 7.0)])


def test_a_version_of_another_run_begins_anew(windows):
    """A model that was begun anew has a version of the same number, and other bins."""
    windows.of_run("1", "a")
    windows.add(0, {("1", 0): {"size": np.ones(3, dtype=np.intp)}, ("2", 0): counts()})
    windows.of_run("1", "a")
    assert {"1", "2"} == {version for version, _ in windows.counts}

    windows.of_run("1", "b")
    assert {"2"} == {version for version, _ in windows.counts}


def test_the_window_before_speaks_until_the_newest_has_half_as_many_rows(windows):
    """An alert that waits for a quarter of an hour would otherwise begin to wait anew with each hour."""
    assert windows.told("1") is None
    windows.add(0, {("1", 0): counts()})
    windows.add(1, {("1", HOUR): counts(rows=100)})
    assert ("1", 0) == windows.told("1")
    windows.add(2, {("1", HOUR): counts(rows=400)})
    assert ("1", HOUR) == windows.told("1")


@pytest.mark.parametrize(
    "raw", [{}, {"edges": [1.0]}, {"edges": [1.0], "counts": [1]}, {"words": ["a"], "counts": [1, 2, 3]}]
)
def test_a_baseline_that_is_none_is_not_believed(raw):
    """It is a file that anybody may have written."""
    with pytest.raises((KeyError, ValueError)):
        Baseline.from_dict(raw)


def test_a_baseline_is_read_as_it_was_written():
    """Both kinds."""
    for baseline in BASELINES["1"].values():
        again = Baseline.from_dict(baseline.to_dict())
        assert again.bins == baseline.bins
        assert (again.counts == baseline.counts).all()
