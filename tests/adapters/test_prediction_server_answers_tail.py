"""Reading the tail of the answers topic on a real broker."""

import uuid
from contextlib import suppress

import pytest
import structlog
import structlog.testing
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import TopicAlreadyExistsError

from apps.common.errors import SettingsError, Unavailable
from apps.common.kafka_access import KafkaAccess
from apps.common.messages import CachedAnswer
from apps.common.names import StackNames
from apps.common.waiting import wait_until
from apps.prediction_server.answers_tail import AnswersTail
from apps.prediction_server.resume_offset import WINDOW, ResumePoint

DEADLINE_S = 20


@pytest.fixture
def admin(kafka):
    """A client that makes topics."""
    client = KafkaAdminClient(bootstrap_servers=kafka)
    yield client
    client.close()


@pytest.fixture
def producer(kafka):
    """A client that writes."""
    client = KafkaProducer(bootstrap_servers=kafka)
    yield client
    client.close()


def names_of_its_own():
    """The names of a stack that no other test uses."""
    return StackNames(f"stack-{uuid.uuid4().hex[:8]}", "used_cars")


@pytest.fixture
def tail(kafka, admin):
    """Two new topics of two partitions, as a starting server looks at them."""
    made = AnswersTail(KafkaAccess(kafka), names_of_its_own(), structlog.get_logger())
    make(admin, made.requests, 2)
    make(admin, made.answers, 2)
    return made


def make(admin, topic, partitions):
    admin.create_topics({topic: {"num_partitions": partitions, "replication_factor": 1}})


def timestamps(producer, topic, partition):
    """The broker's timestamp of each request that stands in a partition."""
    place = TopicPartition(topic, partition)
    client = KafkaConsumer(bootstrap_servers=producer.config["bootstrap_servers"], isolation_level="read_committed")
    client.assign([place])
    client.seek_to_beginning(place)
    end, found = client.end_offsets([place])[place], {}
    while client.position(place) < end:
        found |= {one.offset: one.timestamp for one in client.poll(timeout_ms=200).get(place, [])}
    client.close()
    return found


def ask(producer, tail, count, partition=0):
    for _ in range(count):
        producer.send(tail.requests, b"{}", partition=partition)
    producer.flush()


def made_again(admin, topic):
    """Whether a topic that was deleted could be made again."""
    with suppress(TopicAlreadyExistsError):
        make(admin, topic, 2)
        return True
    return False


def answer(producer, tail, offsets, partition=0, in_partition=0, stamped=False):
    """Answers as a server writes them; without the timestamps as one did that wrote none."""
    stamps = timestamps(producer, tail.requests, partition) if stamped else {}
    for offset in offsets:
        headers = [("in_partition", str(in_partition).encode()), ("in_offset", str(offset).encode())]
        headers += [("in_timestamp", str(stamps[offset]).encode())] if stamped else []
        producer.send(tail.answers, b"{}", partition=partition, headers=headers)
    producer.flush()


def test_each_partition_starts_at_its_first_unanswered_request(producer, tail):
    """
    Nothing answered: the earliest request. Everything answered: the end. A hole: there.
    """
    ask(producer, tail, 6, partition=0)
    assert tail.resume_points(DEADLINE_S) == {0: ResumePoint(0), 1: ResumePoint(0)}

    answer(producer, tail, [0, 1, 3])
    assert tail.resume_points(DEADLINE_S) == {0: ResumePoint(2), 1: ResumePoint(0)}

    answer(producer, tail, range(2, 6))
    assert tail.resume_points(DEADLINE_S) == {0: ResumePoint(6), 1: ResumePoint(0)}


def test_records_that_are_not_ours_change_nothing(kafka, producer, tail):
    """
    Records without our headers, with broken ones, of another partition, beyond the end, of a transaction: ignored.
    """
    ask(producer, tail, 6)
    answer(producer, tail, [0, 1])
    producer.send(tail.answers, b"hello", partition=0)
    broken = [("in_partition", b"zero"), ("in_offset", b"\xff")]
    producer.send(tail.answers, None, key=b"x", partition=0, headers=broken)
    answer(producer, tail, [5], in_partition=1)
    answer(producer, tail, [10**12])
    foreign = KafkaProducer(bootstrap_servers=kafka, transactional_id=str(uuid.uuid4()))
    foreign.init_transactions()
    foreign.begin_transaction()
    foreign.send(tail.answers, b"in a transaction", partition=0)
    foreign.commit_transaction()  # leaves a marker at the very end, which no reader is given
    foreign.close()

    assert tail.resume_points(DEADLINE_S)[0] == ResumePoint(2, ignored=1)


def test_a_topic_that_was_made_anew_is_answered_from_its_first_request(admin, producer, tail):
    """
    The answers to its predecessor stay for days, and its offsets begin again: nothing of it counts as answered.
    """
    ask(producer, tail, 60)
    answer(producer, tail, range(60), stamped=True)
    admin.delete_topics([tail.requests])
    wait_until(lambda: made_again(admin, tail.requests), DEADLINE_S, "the topic is not made again")
    ask(producer, tail, 60)

    assert tail.resume_points(DEADLINE_S)[0] == ResumePoint(0, ignored=60)


def test_the_marks_of_a_transaction_are_no_holes(kafka, producer, tail):
    """
    Commit and abort take an offset each, and an aborted request is owed nothing.
    """
    place, reader = TopicPartition(tail.requests, 0), KafkaConsumer(bootstrap_servers=kafka)
    for number, end in enumerate(("commit_transaction", "abort_transaction", "commit_transaction"), 1):
        client = KafkaProducer(bootstrap_servers=kafka, transactional_id=str(uuid.uuid4()))
        client.init_transactions()
        client.begin_transaction()
        client.send(tail.requests, b"{}", partition=0).get(10)
        getattr(client, end)()
        client.close()
        # The broker writes the mark some time after it has answered.
        wait_until(lambda end=2 * number: reader.end_offsets([place])[place] == end, DEADLINE_S, "no mark is written")
    reader.close()
    ask(producer, tail, 2)
    answer(producer, tail, [0, 4, 6], stamped=True)

    assert tail.resume_points(DEADLINE_S)[0] == ResumePoint(7)


def test_foreign_records_at_the_end_hide_no_answer(producer, tail):
    """
    However many a connector wrote behind them, the newest answers of ours are found.
    """
    ask(producer, tail, 3)
    answer(producer, tail, [0, 1], stamped=True)
    for _ in range(2 * WINDOW):
        producer.send(tail.answers, b"hello", partition=0)
    producer.flush()

    assert tail.resume_points(DEADLINE_S)[0] == ResumePoint(2)


def test_requests_that_expired_unanswered_are_told(producer, admin, tail):
    """
    A start before the earliest request left is moved there, and an error counts what is gone.
    """
    ask(producer, tail, 6)
    answer(producer, tail, [0, 1])
    admin.delete_records({TopicPartition(tail.requests, 0): 5})

    with structlog.testing.capture_logs() as said:
        tail.log = structlog.get_logger()
        found = tail.resume_points(DEADLINE_S)

    assert found[0] == ResumePoint(5, expired=3)
    assert [(one["log_level"], one["partition"], one["count"]) for one in said] == [("error", 0, 3)]


def test_unequal_partition_counts_are_refused(kafka, admin, tail):
    """
    With fewer answers partitions than requests partitions an answer could not stand where its request stands.
    """
    tail.requests = f"asked-{uuid.uuid4()}"
    make(admin, tail.requests, 3)

    with pytest.raises(SettingsError, match=r"must have as many partitions as .* \(3\); got 2"):
        tail.resume_points(DEADLINE_S)


def test_kafka_and_the_topics_are_waited_for_until_the_deadline(kafka, tail):
    """
    Without a broker, or without topics, the error says so after the deadline and not before.
    """
    tries = []
    with pytest.raises(Unavailable, match=r"Kafka must answer at 127\.0\.0\.1:1 within 2 s"):
        AnswersTail(KafkaAccess("127.0.0.1:1"), names_of_its_own(), tail.log).resume_points(2, lambda: tries.append(1))
    assert tries
    with pytest.raises(Unavailable, match="not there yet"):
        AnswersTail(KafkaAccess(kafka), names_of_its_own(), tail.log).resume_points(2)


def test_a_server_does_not_begin_behind_answers_of_another_model(kafka, producer, tail):
    """
    Another stack of the same name: what it answered is no answer of ours, and ours would be none of its.
    """
    ask(producer, tail, 3)
    for offset, model in ((0, "other.used_cars"), (1, tail.model)):
        producer.send(tail.answers, b"{}", partition=0, headers=headers(offset, model))
    producer.flush()
    assert 2 == tail.resume_points(DEADLINE_S)[0].offset

    producer.send(tail.answers, b"{}", partition=0, headers=headers(2, "other.used_cars")).get(10)
    with pytest.raises(SettingsError, match=r"must hold answers of .*; got the newest of other\.used_cars"):
        tail.resume_points(DEADLINE_S)


def headers(offset, model):
    """What an answer of an unstamped server says, and of which model."""
    said = {"in_partition": "0", "in_offset": str(offset), "model": model}
    return [(name, value.encode()) for name, value in said.items()]


def test_the_newest_answer_is_the_one_that_came_last_in_any_partition(producer, tail):
    """
    Not that of the highest release, which may have failed, but where both answered; what is not ours is passed over.
    """

    def say(partition, offset, release):
        told = {"in_partition": partition, "in_offset": offset, "model_version": 1, "release": release}
        named = [(name, str(value).encode()) for name, value in told.items()]
        producer.send(tail.answers, b"{}", headers=named, partition=partition).get(DEADLINE_S)

    assert tail.newest() is None
    say(0, 0, 3)
    say(1, 0, 2)
    producer.send(tail.answers, b"foreign", partition=0).get(DEADLINE_S)
    assert 2 == tail.newest().release

    say(1, 5, 4)
    say(1, 5, 2)
    assert 4 == tail.newest().release


def test_answers_out_of_a_cache_hide_no_answer_and_are_not_called_foreign(producer, tail):
    """
    Thousands of them may stand behind the last one of a server: it is found all the same, and the start with it.
    """
    ask(producer, tail, 4)
    for offset in range(3):
        place = {"in_partition": "0", "in_offset": str(offset), "model_version": "3", "release": "7"}
        headers = [(name, text.encode()) for name, text in place.items()]
        producer.send(tail.answers, b"{}", partition=0, headers=headers)  # as the requests, which have no key here
    cached = CachedAnswer("b", b"what", tail.model, "3", "", 7, 5.5)
    headers = [(name, text.encode()) for name, text in cached.headers().items()]
    for _ in range(3000):
        producer.send(tail.answers, cached.value(), key=b"b", partition=0, headers=headers)
    producer.flush()

    with structlog.testing.capture_logs() as said:
        tail.log = structlog.get_logger()
        assert tail.resume_points(DEADLINE_S) == {0: ResumePoint(3), 1: ResumePoint(0)}
    assert [] == said
    assert 7 == tail.newest().release
