"""Outcomes by HTTP: one or many, every problem at once."""

import json

import pytest

from apps.gateway import outcomes
from apps.gateway.outcomes import TOLD, KnownOutcome, decode
from apps.gateway.turned_away import TurnedAway

MOST = 50


def read(body):
    """What a body holds."""
    return decode(json.dumps(body).encode(), MOST)


def test_one_or_many_are_taken():
    """
    A number, a text that is one, or a flag.
    """
    assert [KnownOutcome("a", 5)] == read({"request_id": "a", "outcome": 5})
    assert [KnownOutcome("a", 1.5), KnownOutcome("b", 1)] == read(
        [{"request_id": "a", "outcome": "1.5"}, {"request_id": "b", "outcome": True}]
    )


def test_every_problem_is_told_together():
    """
    Nothing of such a body is taken.
    """
    odd = [{"request_id": "a"}, 5, {"request_id": "", "outcome": 1}, {"request_id": "b", "outcome": float("nan")}]
    with pytest.raises(TurnedAway) as refused:
        read([*odd, {"request_id": "c" * 300, "outcome": 10**400}, {"request_id": "\ud800", "outcome": "x"}])

    assert 422 == refused.value.status
    assert ["0", "1", "1", "2", "3", "4", "4", "5", "5"] == [
        one.split()[1].strip(":") for one in refused.value.told["problems"]
    ]
    with pytest.raises(TurnedAway, match="outcomes must be one or more"):
        read([])


def test_no_more_problems_are_looked_for_than_are_told(monkeypatch):
    """
    Each takes time to say, and one body may have a million.
    """
    looked = []
    monkeypatch.setattr(outcomes, "_number", looked.append)
    with pytest.raises(TurnedAway, match="there may be more") as refused:
        read([5] * MOST)

    assert (TOLD, TOLD // 2) == (len(refused.value.told["problems"]), len(looked))


def test_more_outcomes_than_rows_may_wait_are_turned_away():
    """
    Before the first of them is looked at.
    """
    with pytest.raises(TurnedAway, match="outcomes must be at most 50 at once; got 51") as refused:
        read([5] * (MOST + 1))

    assert 413 == refused.value.status
