"""What a server tells of itself is what its watch saw at its last look."""

import time
from types import SimpleNamespace

import pytest

from apps.prediction_server import figures
from apps.prediction_server.progress_rules import Look, ProgressRules
from apps.prediction_server.settings import ServerSettings


def look(**more):
    """Two partitions, of which the second waits: of its twelve requests this process answered ten, a standby eleven."""
    facts = {"topic_id": "t", "requests": 2, "answers": 2, "ends": {0: 10, 1: 12}, "anybody": {0: 10, 1: 11}, **more}
    return Look(time.monotonic(), answered={0: 10, 1: 10}, **facts)


def watch(seen):
    """One that has looked, of a server that began at the fourth request of each partition."""
    rules = ProgressRules(1, "t", 2, 5, lambda *_: True, began=0)
    if seen:
        rules.reason_to_end(seen)
    return SimpleNamespace(seen=seen, offsets={0: 4, 1: 4}, predictions=5, rejections=2, rules=rules)


def told(of):
    """Family and labels -> value."""
    return {(one.family, *one.labels.values()): one.value for one in figures.progress(of)}


def test_what_was_answered_and_what_waits_is_told_by_partition():
    """
    A server has answered what stands between where it began and its highest answer; what anybody answered waits not.
    """
    found = told(watch(look()))

    assert (6, 6) == tuple(found["baton_server_answered_total", partition] for partition in "01")
    assert (0, 1) == tuple(found["baton_server_lag_requests", partition] for partition in "01")
    assert (5, 2) == tuple(found["baton_server_answers_seen_total", kind] for kind in ("prediction", "rejection"))


@pytest.mark.parametrize(("looked", "waits"), [(0, 30), (50, 0)])
def test_the_age_of_progress_grows_while_a_request_waits_and_while_nobody_looks(looked, waits):
    """
    It is the longer of both: a watch that hangs sees nothing that waits.
    """
    seen = look()
    of = watch(Look(**{**vars(seen), "at": seen.at - waits}))
    of.seen = Look(**{**vars(seen), "at": seen.at - looked})

    assert max(looked, waits) <= told(of)["baton_server_progress_age_seconds",] < max(looked, waits) + 5


def test_a_server_that_has_not_looked_yet_tells_only_what_it_is():
    """
    Release and version come from its settings, and model and version of none are empty.
    """
    settings = ServerSettings(release=7, model_version="3", ready_file="r", scratch="s", spark_jars="j")

    (one,) = figures.identity(settings, "serving")

    assert [] == list(figures.progress(watch(None)))
    assert {"state": "serving", "release": "7", "model": settings.names.model, "version": "3"} == one.labels
