"""Peers on a real broker: the ledger measures them as it measures Baton, and none outlives who started it."""

import pytest

from apps import datasets
from apps.common import topics
from apps.common.errors import Unavailable
from apps.common.kafka_access import KafkaAccess
from apps.datasets.source import write_csv
from loadtest.peer import Peer, running
from loadtest.traffic import LiveLedger
from stack import services
from stack.embedded.services.kafka import topic_settings
from stack.environment import ROOT, inherited
from tests.adapters.killed_starter import modules_that_end_with_a_killed_starter

STARTER = """
import pathlib, os, sys, time
from loadtest.peer import Peer, running
with running(Peer.THROUGH, dict(os.environ), pathlib.Path(sys.argv[1])):
    print("started", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def environment(kafka, tmp_path_factory):
    """What peer, sender and reader are told; the topics are there."""
    told = {"BATON_STACK": "bench-peer", "BATON_DATASET": "used_cars", "BATON_TEST_ROWS": "300", "BATON_KAFKA": kafka}
    topics.wait_until_made(KafkaAccess(kafka), topic_settings(told["BATON_STACK"], services.load().delivery))
    return inherited() | told | {"BATON_WORK": str(tmp_path_factory.mktemp("slices")), "PYTHONPATH": str(ROOT)}


@pytest.fixture(scope="module")
def batch(tmp_path_factory):
    """A batch as the dropper drops it."""
    dataset, path = datasets.get("used_cars"), tmp_path_factory.mktemp("batch") / "part.csv"
    write_csv(path, dataset.generate(1000, 17, 0.0), dataset)
    return path


@pytest.mark.parametrize("peer", Peer)
def test_a_peer_answers_each_request_once(peer, environment, batch, tmp_path):
    """Under open-loop traffic every acknowledged request has one answer of the peer's own model, in its partition."""
    ledger = LiveLedger(environment, tmp_path)
    with running(peer, environment, tmp_path, [batch]) as said, ledger.traffic(40, seconds=2):
        ledger.watch(lambda _: None)

    verdict = ledger.verdict([])
    assert (80, 80, 0, 0) == (verdict.acked, verdict.answered, verdict.repeats, len(verdict.wrong))
    assert {"bench-peer.used_cars"} == {answer.model for answer in ledger.answers()}
    assert all(answer.partition == answer.in_partition for answer in ledger.answers())
    assert (said == "no model") is (peer is Peer.THROUGH)
    predicted = {answer.prediction for answer in ledger.answers()}
    assert (len(predicted) == 1) is (peer is Peer.THROUGH)


def test_a_peer_ends_with_a_starter_that_is_killed(environment, tmp_path):
    """Kill -9 of the program that measures: within seconds the peer is gone."""
    assert "loadtest.peer" in modules_that_end_with_a_killed_starter(STARTER, environment, tmp_path)


def test_a_peer_that_cannot_start_says_why(environment, tmp_path):
    """Without topics there is nothing to answer: the error has the peer's own words."""
    strange = {**environment, "BATON_STACK": "nobodys"}
    gone = pytest.raises(Unavailable, match=r"(?s)the peer pass-through must run; it ended:.*nobodys")
    with gone, running(Peer.THROUGH, strange, tmp_path):
        pass
