"""What the watch makes of real topics; what follows from it is tested by itself."""

import time
import uuid
from types import SimpleNamespace

import pytest
import structlog
from kafka import KafkaAdminClient, KafkaProducer

from apps.common.kafka_access import KafkaAccess
from apps.common.messages import Writer
from apps.common.names import StackNames
from apps.prediction_server import figures
from apps.prediction_server.progress_watch import TAIL, ProgressWatch


class WatchedTopics:
    """Topics of one partition, a server of release 1 that began at their beginning, and its watch."""

    def __init__(self, kafka, folder):
        """Nothing was asked yet."""
        self.names = StackNames(f"stack-{uuid.uuid4().hex[:8]}", "used_cars")
        admin = KafkaAdminClient(bootstrap_servers=kafka)
        admin.create_topics({name: {"num_partitions": 1, "replication_factor": 1} for name in self.names.pair})
        topic_id = str(admin.describe_topics([self.names.requests])[0]["topic_id"])
        admin.close()
        self.producer = KafkaProducer(bootstrap_servers=kafka)
        self.writer = Writer(self.names.model, "1", 1, topic_id=topic_id)
        settings = SimpleNamespace(
            kafka_access=KafkaAccess(kafka), names=self.names, ready_file=folder / "ready", stall_s=5
        )
        self.watch = ProgressWatch(settings, self.writer, {0: 0}, structlog.get_logger())
        self.stamps = {}

    def ask(self, count):
        """Requests."""
        for _ in range(count):
            sent = self.producer.send(self.names.requests, b"{}", partition=0).get(10)
            self.stamps[sent.offset] = sent.timestamp

    def answer(self, *offsets, release=1, process=None, shift=0, value=b"{}"):
        """Their answers, by this server's process unless told otherwise; ``shift`` is added to each timestamp."""
        for offset in offsets:
            said = {
                **self.writer.headers(),
                "release": str(release),
                "process": process or self.writer.process,
                "in_partition": "0",
                "in_offset": str(offset),
                "in_timestamp": str(self.stamps.get(offset, 0) + shift),
            }
            headers = [(name, value.encode()) for name, value in said.items()]
            self.producer.send(self.names.answers, value, partition=0, headers=headers)
        self.producer.flush()

    def after_an_outage(self):
        """The next look, after one at which the broker did not answer."""
        self.watch._was_away = True  # noqa: SLF001 - as the thread does
        return self.watch.look()


@pytest.fixture
def topics(kafka, tmp_path):
    """Fresh ones."""
    made = WatchedTopics(kafka, tmp_path)
    yield made
    made.producer.close()


def test_a_request_behind_many_that_were_taken_back_is_owed_an_answer(topics, kafka):
    """What an aborted transaction leaves is no request, however much of it there is."""
    client = KafkaProducer(bootstrap_servers=kafka, transactional_id=str(uuid.uuid4()))
    client.init_transactions()
    client.begin_transaction()
    for _ in range(2 * TAIL):
        client.send(topics.names.requests, b"{}", partition=0)
    client.flush()
    client.abort_transaction()
    client.close()
    assert not topics.watch.rules.owed(0, 0, 2 * TAIL)

    topics.ask(1)

    assert topics.watch.rules.owed(0, 0, topics.watch.look().ends[0])


def test_an_old_answer_of_a_newer_release_is_nobody_who_lives(topics):
    """A newer release that answered its probe and died stands in the tail for as long as nothing else is asked."""
    topics.ask(3)
    topics.answer(0)
    topics.answer(1, release=2, process="another")
    assert [0, 0] == [topics.watch.look().newest for _ in range(2)]

    topics.answer(2, release=2, process="another")
    assert [2, 0] == [topics.watch.look().newest for _ in range(2)]


def test_who_else_answers_what_is_asked_now(topics):
    """Neither this process, nor one that is behind: it answered what was asked before the look before."""
    topics.ask(2)
    topics.watch.look()
    topics.ask(2)
    topics.answer(1, process="behind")
    topics.answer(2)
    assert {} == topics.watch.look().others
    topics.ask(1)
    topics.answer(4, process="level", release=7)
    assert {"level": 7} == topics.watch.look().others


def test_a_flood_of_repeats_hides_no_progress(topics):
    """More than a look reads were written since the one before: it reads on until its own are among them."""
    topics.ask(9)
    topics.answer(0)
    topics.watch.look()
    topics.answer(1)
    topics.answer(*[2] * 3 * TAIL, process="another")

    assert {0: 2} == topics.watch.look().answered


def test_a_glance_at_the_ends_of_both_topics(topics):
    """It costs less than a look."""
    topics.ask(3)
    topics.answer(0, 1)

    assert ({0: 3}, {0: 2}) == topics.watch.ends()


def test_what_a_standby_answers_hides_no_server_that_is_stuck(topics):
    """The server's own progress is told beside everybody's."""
    topics.ask(4)
    topics.answer(0)
    topics.answer(1, 2, 3, process="another")

    look = topics.watch.look()
    assert ({0: 1}, {0: 4}) == (look.answered, look.anybody)


def test_what_is_told_is_what_the_last_look_saw(topics):
    """Own answers are counted by what they are, once each; what waits is what nobody answered."""
    topics.ask(6)
    topics.answer(0, value=b'{"prediction": 1.5}')
    topics.watch.look()
    topics.answer(1, value=b'{"prediction": 1.5}')
    topics.answer(2, value=b'{"rejection": "no"}')
    topics.answer(3, process="another", value=b'{"rejection": "no"}')
    for _ in range(2):
        topics.watch.rules.reason_to_end(topics.watch.look())

    told = {(one.family, *one.labels.values()): one.value for one in figures.progress(topics.watch)}

    assert told["baton_server_answered_total", "0"] == 3
    assert told["baton_server_lag_requests", "0"] == 2
    assert told["baton_server_answers_seen_total", "prediction"] == 1
    assert told["baton_server_answers_seen_total", "rejection"] == 1
    assert 0 <= told["baton_server_progress_age_seconds",] < 60


def test_repeats_of_lower_ones_are_no_step_back(topics):
    """A server that was ended repeated a tail's worth and died: what it repeated was answered long before."""
    count = TAIL + 40
    topics.ask(count)
    topics.answer(*range(count))
    assert count == topics.watch.look().answered[0]

    topics.answer(*range(TAIL + 10), process="another")
    assert count == topics.watch.look().answered[0]


@pytest.mark.parametrize("shift", [-1, 1])
def test_a_log_that_lost_its_end_while_the_broker_was_away_is_seen(topics, shift):
    """What this process answered stands there no more: another request has the offset now."""
    topics.ask(5)
    topics.answer(*range(4))
    topics.answer(4, shift=shift)
    assert () == topics.watch.look().lost
    assert (0,) == topics.after_an_outage().lost


def test_a_log_that_is_shorter_than_what_was_answered_has_lost_its_end(topics):
    """Nothing stands at the offset at all."""
    topics.ask(2)
    topics.answer(0, 1, 2)
    assert (0,) == topics.after_an_outage().lost


def test_a_broker_that_comes_back_as_it_was_ends_nobody(topics):
    """Also where others have answered requests that are gone since: their answers are not this process' own."""
    topics.ask(5)
    topics.answer(*range(5))
    topics.answer(4, process="another", shift=7)
    begun = time.monotonic()
    assert () == topics.after_an_outage().lost
    assert time.monotonic() - begun < 3
