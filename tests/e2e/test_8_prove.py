"""./baton prove on our stack: something happens amid its traffic, and all that our headers say is judged."""

import json
import threading

import pytest
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient, NewPartitions

from apps.common.settings import kafka_access
from apps.common.waiting import wait_until
from loadtest.prover.plan import VERDICT
from stack.cli import prove

BEGIN_S = 120
ADDED_S = 180
COMMAND = "touch {0}/begun; until [ -e {0}/done ]; do sleep 0.2; done; [ ! -s {0}/done ]"
POISONS = {
    "value must have at least one of the dataset's fields": "{}",
    "mileage must be a number 0-500000": '{"mileage": "%s x"}' % ("1" * 60_000),
    "make_name must be given; got nothing": '{"year": "2015"}',
    "value must be one JSON object": "[1, 2",
}


@pytest.fixture
def proven(stack, tmp_path):
    """Prove the stack while something happens to it; returns the verdict, which must be good."""

    def prove_while(happens, *bounds):
        begun, done = tmp_path / "begun", tmp_path / "done"

        def happen():
            failure = "what was to happen did not end"
            try:
                wait_until(begun.exists, BEGIN_S, "the command does not run")
                happens()
                failure = ""
            finally:
                done.write_text(failure)

        thread = threading.Thread(target=happen)
        thread.start()
        asked = ["--folder", str(tmp_path / "proof"), *bounds, "--during", COMMAND.format(tmp_path)]
        try:
            code = prove.run(asked, stack, None)
        finally:
            thread.join()
        assert 0 == code
        verdict = json.loads((tmp_path / "proof" / VERDICT).read_text())
        assert verdict["ledger"]["compared"] == verdict["ledger"]["answered"] + verdict["ledger"]["repeats"]
        return verdict

    return prove_while


@pytest.mark.faults
def test_a_stack_proves_its_own_hand_over_with_poison_in_its_traffic(pipeline, first_version, proven, tmp_path):
    """
    One request in a hundred is poison; nothing lost, nothing wrong, two versions seen: all ten invariants.
    """
    (tmp_path / "poison.txt").write_text("".join(f"{reason}\t{text}\n" for reason, text in POISONS.items()))

    def hand_over():
        pipeline.wait_until_served(pipeline.wait_for_version_trained_on(pipeline.drop_batch()))

    bounds = ["--max-silence", "20", "--max-latency", "20", "--min-versions", "2"]
    verdict = proven(hand_over, *bounds, "--poison", str(tmp_path / "poison.txt"))

    assert [] == [one["number"] for one in verdict["invariants"] if one["outcome"] == "not asked"]
    assert 1 <= len(verdict["ledger"]["handovers"])


@pytest.mark.faults
def test_partitions_that_are_added_under_traffic_lose_nothing(pipeline, first_version, proven):
    """
    A person adds one to both topics: a server that reads it too takes over. The last test on this stack's topics.
    """
    access = dict(kafka_access(pipeline.environment).librdkafka())
    requests, answers = pipeline.names.pair
    admin, reader = AdminClient(access), Consumer({**access, "group.id": pipeline.names.requests})
    added = len(admin.list_topics(requests, 10).topics[requests].partitions)  # the number of the new one

    def add():
        for topic in (answers, requests):
            for done in admin.create_partitions([NewPartitions(topic, added + 1)]).values():
                done.result(30)
        new = TopicPartition(answers, added)
        wait_until(lambda: reader.get_watermark_offsets(new, 10)[1], ADDED_S, f"{new} has no answer")

    try:
        proven(add, "--max-silence", "90")
    finally:
        reader.close()
