"""Traffic by the real sender and reader on a real broker: nothing outlives who started it, and no bad end is hidden."""

from contextlib import suppress

import psutil
import pytest
from kafka import KafkaAdminClient, KafkaProducer

from apps.common.errors import DeadlineMissed, Unavailable
from apps.common.names import StackNames
from apps.common.waiting import wait_until
from loadtest.reader import AnswerReader
from loadtest.recorder import AT_ONCE
from loadtest.traffic import LiveLedger
from stack.environment import ROOT, inherited
from tests.adapters.killed_starter import GONE_S, modules_that_end_with_a_killed_starter

STARTER = """
import pathlib, os, sys, time
from loadtest.traffic import LiveLedger
with LiveLedger(dict(os.environ), pathlib.Path(sys.argv[1])).traffic(20):
    print("started", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def environment(kafka, tmp_path_factory):
    """What the sender is told."""
    work = tmp_path_factory.mktemp("slices")
    names = {"BATON_STACK": "baton", "BATON_DATASET": "boston_housing"}
    return inherited() | names | {"BATON_KAFKA": kafka, "BATON_WORK": str(work), "PYTHONPATH": str(ROOT)}


def test_sender_and_reader_end_with_a_starter_that_is_killed(environment, tmp_path):
    """Kill -9 of the program that measures: within seconds nobody sends and nobody reads."""
    ended = modules_that_end_with_a_killed_starter(STARTER, environment, tmp_path)

    assert {"apps.batch_dropper", "loadtest.reader"} <= ended


def test_a_sender_that_ends_badly_fails_the_run(environment, tmp_path):
    """What a killed sender had sent last is in no journal, so the run proves nothing."""
    ledger = LiveLedger(environment, tmp_path)
    with pytest.raises(Unavailable, match="the sender must end well; it ended with exit code -9"), ledger.traffic(20):
        next(one for one in psutil.Process().children() if "apps.batch_dropper" in one.cmdline()).kill()


def test_a_sender_that_is_stopped_ends_well(environment, tmp_path):
    """The end of the block is no bad end; every request has its acknowledgement by then."""
    ledger = LiveLedger(environment, tmp_path)
    with ledger.traffic(20, settle=0):
        pass

    assert ledger.sends()
    assert all(send.acknowledged for send in ledger.sends())


def test_a_reader_misses_nothing_of_what_waits_for_it(kafka, environment, tmp_path):
    """More at once than it takes before it writes its journal: an answer that it drops would pass for a lost one."""
    count, names = 3 * AT_ONCE + 1, StackNames("backlog", "boston_housing")
    admin = KafkaAdminClient(bootstrap_servers=kafka)
    admin.create_topics({names.answers: {"num_partitions": 1, "replication_factor": 1}})
    admin.close()
    producer = KafkaProducer(bootstrap_servers=kafka)
    for offset in range(count):
        told = {"in_partition": "0", "in_offset": str(offset), "model_version": "1", "release": "1"}
        producer.send(names.answers, b"{}", headers=[(name, text.encode()) for name, text in told.items()])
    producer.close()

    reader = AnswerReader(environment | {"BATON_STACK": names.stack}, tmp_path / "answers.jsonl", from_beginning=True)
    reader.start()
    try:
        with suppress(DeadlineMissed):
            wait_until(lambda: len(reader.answers()) >= count, GONE_S, "")
    finally:
        reader.stop()
    assert [answer.in_offset for answer in reader.answers()] == list(range(count))
