"""Reads the tail of the answers topic, which says where a server must start."""

import math
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition
from kafka.errors import KafkaError
from structlog.stdlib import BoundLogger

from apps.common.errors import DeadlineMissed, SettingsError, Unavailable
from apps.common.kafka_access import KafkaAccess
from apps.common.messages import CACHED, IN_OFFSET, IN_PARTITION, IN_TIMESTAMP, MODEL, Answer, decode_answer
from apps.common.names import StackNames
from apps.common.settings import option
from apps.common.waiting import wait_until
from apps.prediction_server.resume_offset import (
    WINDOW,
    Requests,
    ResumePoint,
    StandingRequest,
    TailAnswer,
    resume_offset,
)

T = TypeVar("T")

POLL_MS = 200
NEWEST = 16  # records of a partition, foreign ones too
WIDER = 4  # times as many are read next, where none of them was ours
READ_S = 60  # for the tails of all partitions
LONGEST_READ_S = 16 * READ_S
ANSWER_MS = 3000  # a broker that still starts accepts a connection and then says nothing for a while


class AnswersTail:
    """The two topics as a starting server sees them."""

    def __init__(self, access: KafkaAccess, names: StackNames, log: BoundLogger, window: int = WINDOW) -> None:
        """``window`` is how many answers of a partition are read back. Nothing is connected yet."""
        self.access = access
        self.window = window
        self.log = log
        self.model = names.model
        self.requests = names.requests
        self.answers = names.answers

    def resume_points(
        self, deadline: float = math.inf, waits: Callable[[], object] = lambda: None
    ) -> dict[int, ResumePoint]:
        """
        Where to begin in each requests partition; what expired unanswered is logged as an error.

        Kafka is waited for, and ``waits`` called after each vain try. Raises Unavailable when it is not there within
        ``deadline`` seconds, SettingsError when the topics' partitions differ in number, or when the newest answer of
        one is of another model.
        """
        points = self._in_time(self._read, deadline, waits)
        for partition, point in points.items():
            if point.expired:
                self.log.error("requests expired unanswered", partition=partition, count=point.expired)
        return points

    def topic(self, waits: Callable[[], object] = lambda: None) -> tuple[str, list[int]]:
        """The id of the requests topic and its partitions; Kafka is waited for as by ``resume_points``."""
        return self._in_time(lambda _: self._describe(), math.inf, waits)

    def newest(self) -> Answer | None:
        """
        The answer of ours that the broker took last; None when there is none among the last of each partition.

        Where two releases answered the same request, as they do in a roll-out, it is that of the higher one.

        Raises KafkaError or OSError when the broker does not say, SettingsError as ``resume_points`` does.
        """
        consumer, until = committed_reader(self.access), time.monotonic() + READ_S
        try:
            places = [TopicPartition(self.answers, partition) for partition in self._partitions(consumer)]
            begins, ends = consumer.beginning_offsets(places), consumer.end_offsets(places)
            found = [
                told for place in places for told in self._last(consumer, place, begins[place], ends[place], until)
            ]
        finally:
            consumer.close()
        found.sort(key=lambda told: told[0], reverse=True)
        same = (answer for _, answer in found if answer.position == found[0][1].position)
        return max(same, key=lambda answer: answer.release, default=None)

    def _last(
        self, consumer: KafkaConsumer, place: TopicPartition, begin: int, end: int, until: float
    ) -> list[tuple[int, Answer]]:
        """
        Answers of ours among the last records of a partition, each with when the broker took it.

        Where there is none, more and more is read: a gateway's cache may have written thousands behind them.
        """
        wide = NEWEST
        while begin < end:
            first = max(begin, end - wide)
            records = records_between(consumer, place, first, end, until)
            decoded = ((one.timestamp, decode_answer(one.key, one.value, one.headers, 0.0)) for one in records)
            if found := [(at, answer) for at, answer in decoded if answer]:
                return found
            end, wide = first, wide * WIDER
        return []

    def _in_time(self, ask: Callable[[float], T], deadline: float, waits: Callable[[], object]) -> T:
        """What ``ask`` returns once Kafka answers; it is told until when (``time.monotonic``) it may take."""
        problem, patience = "", min(deadline, READ_S)

        def attempt() -> T | None:
            nonlocal problem, patience
            try:
                return ask(time.monotonic() + patience)
            except (KafkaError, OSError) as error:
                if (got := str(error) or type(error).__name__) != problem:
                    problem = got
                    self.log.warning("waiting for Kafka", reason=problem)
                patience = min(2 * patience, LONGEST_READ_S)  # it may have been too short for so many partitions
                waits()
                return None

        try:
            return wait_until(attempt, deadline, "")
        except DeadlineMissed as error:
            got = f"{problem}; is the stack up?"
            raise Unavailable(f"Kafka must answer at {self.access.brokers} within {deadline:g} s; got {got}") from error

    def _describe(self) -> tuple[str, list[int]]:
        admin = KafkaAdminClient(**self.access.python(), request_timeout_ms=10 * ANSWER_MS)
        try:
            topic = admin.describe_topics([self.requests])[0]
        finally:
            admin.close()
        if not (partitions := topic["partitions"]):
            raise KafkaError(f"topic {self.requests} is not there yet")
        return str(topic["topic_id"]), sorted(partition["partition_index"] for partition in partitions)

    def _read(self, until: float) -> dict[int, ResumePoint]:
        consumer = committed_reader(self.access)
        try:
            partitions = self._partitions(consumer)
            tails = {partition: self._tail(consumer, partition, until) for partition in partitions}
            inputs = [TopicPartition(self.requests, partition) for partition in partitions]
            # After the answers: a request that was answered meanwhile must lie before the end.
            earliest, end = consumer.beginning_offsets(inputs), consumer.end_offsets(inputs)

            def point(place: TopicPartition) -> ResumePoint:
                def standing(first: int, last: int) -> dict[int, StandingRequest]:
                    records = records_between(consumer, place, first, min(last, end[place]), until)
                    return {record.offset: StandingRequest(record.key, record.timestamp) for record in records}

                self._refuse_another_model(tails[place.partition], standing)
                return resume_offset(tails[place.partition], standing, earliest[place], end[place], self.window)

            return {place.partition: point(place) for place in inputs}
        finally:
            consumer.close()

    def _partitions(self, consumer: KafkaConsumer) -> list[int]:
        """The partition numbers, equal for both topics."""
        numbers = [consumer.partitions_for_topic(topic) for topic in (self.requests, self.answers)]
        if not all(numbers):
            raise KafkaError(f"topics {self.requests} and {self.answers} are not there yet")
        requests, answers = map(sorted, numbers)
        if requests != answers:
            message = (
                f"{self.answers} must have as many partitions as {self.requests} ({len(requests)}); "
                f"got {len(answers)}; an answer stands in the partition of its request: add partitions to the smaller"
            )
            raise SettingsError(message)
        return list(requests)

    def _tail(self, consumer: KafkaConsumer, partition: int, until: float) -> list[TailAnswer]:
        """The newest answers of ours in an answers partition: as many as the window, or all that there are."""
        place = TopicPartition(self.answers, partition)
        beginning, end = consumer.beginning_offsets([place])[place], consumer.end_offsets([place])[place]
        found: list[TailAnswer] = []
        foreign = 0
        while beginning < end and len(found) < self.window:
            first = max(beginning, end - self.window)
            records = records_between(consumer, place, first, end, until)
            read = [_tail_answer(one, partition) for one in records if CACHED not in dict(one.headers)]
            ours = [answer for answer in read if answer]
            found, foreign, end = [*ours, *found], foreign + len(read) - len(ours), first
        if foreign:
            self.log.warning("records in the answers topic are not ours", partition=partition, count=foreign)
        return found

    def _refuse_another_model(self, tail: list[TailAnswer], standing: Requests) -> None:
        """
        Two servers of one topic that know different models would each leave out what the other answered.

        Whoever writes a record with such a header and answers no request is none of them.
        """
        if not tail or (newest := tail[-1]).model in (None, self.model):
            return
        if newest.answers(standing(newest.offset, newest.offset + 1).get(newest.offset)):
            raise SettingsError(
                f"{self.answers} must hold answers of {self.model}; got the newest of {newest.model}; another stack "
                f"has this one's name: give this one its own by ./baton up {option('stack', 'NAME')}"
            )


def committed_reader(access: KafkaAccess, answer_ms: int = 10 * ANSWER_MS) -> KafkaConsumer:
    """A consumer without a group, which sees what is committed, makes no topic, and waits for ``answer_ms`` at most."""
    return KafkaConsumer(
        **access.python(),
        group_id=None,
        enable_auto_commit=False,
        allow_auto_create_topics=False,
        isolation_level="read_committed",
        bootstrap_timeout_ms=ANSWER_MS,
        request_timeout_ms=answer_ms,
    )


def records_between(consumer: KafkaConsumer, place: TopicPartition, first: int, end: int, until: float) -> list[Any]:
    """
    Every record of a partition from ``first`` to before ``end``.

    Raises KafkaError when it takes until after ``until`` (``time.monotonic``, seconds).
    """
    return list(_read_between(consumer, place, first, end, until))


def any_between(consumer: KafkaConsumer, place: TopicPartition, first: int, end: int, until: float) -> bool:
    """Whether there is any; raises as ``records_between`` does, and reads no more than it must."""
    return any(True for _ in _read_between(consumer, place, first, end, until))


def _read_between(consumer: KafkaConsumer, place: TopicPartition, first: int, end: int, until: float) -> Iterator[Any]:
    consumer.assign([place])
    consumer.seek(place, first)
    while consumer.position(place) < end:
        if time.monotonic() > until:
            got = consumer.position(place)
            raise KafkaError(f"{place.topic}-{place.partition} could not be read to offset {end}; got to {got}")
        for record in consumer.poll(timeout_ms=POLL_MS).get(place, []):
            if first <= record.offset < end:
                yield record


def _tail_answer(record: Any, partition: int) -> TailAnswer | None:
    """What a record says of its request; None when it is not an answer of ours."""
    named = dict(record.headers)
    try:
        offset, timestamp = int(named[IN_OFFSET]), named.get(IN_TIMESTAMP)
        if int(named[IN_PARTITION]) != partition:
            return None
        place, model = f"{partition}-{offset}".encode(), named.get(MODEL)
        stamp = None if timestamp is None else int(timestamp)
        return TailAnswer(offset, record.key, stamp, place, None if model is None else model.decode())
    except (KeyError, TypeError, ValueError):
        return None
