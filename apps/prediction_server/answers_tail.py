"""Reads the tail of the answers topic, which says where a server must start."""

import time

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError
from structlog.stdlib import BoundLogger

from apps.common.errors import DeadlineMissed, SettingsError, Unavailable
from apps.common.messages import ANSWERS, IN_OFFSET, IN_PARTITION, REQUESTS
from apps.common.waiting import wait_until
from apps.prediction_server.resume_offset import WINDOW, ResumePoint, resume_offset

POLL_MS = 200
ANSWER_MS = 3000  # a broker that still starts accepts a connection and then says nothing for a while


class AnswersTail:
    """The two topics as a starting server sees them."""

    def __init__(self, brokers: str, log: BoundLogger, requests: str = REQUESTS, answers: str = ANSWERS) -> None:
        """Nothing is connected yet."""
        self.brokers = brokers
        self.log = log
        self.requests = requests
        self.answers = answers

    def resume_points(self, deadline: float) -> dict[int, ResumePoint]:
        """
        Where to begin in each requests partition; what expired unanswered is logged as an error.

        Raises Unavailable when Kafka or the topics are not there within ``deadline`` seconds, SettingsError when the
        topics' partitions differ in number.
        """
        problem = ""

        def attempt() -> dict[int, ResumePoint] | None:
            nonlocal problem
            try:
                return self._read(time.monotonic() + deadline)
            except (KafkaError, OSError) as error:
                problem = str(error) or type(error).__name__
                return None

        try:
            points = wait_until(attempt, deadline, "")
        except DeadlineMissed as error:
            message = f"Kafka must answer at {self.brokers} within {deadline:g} s; got {problem}; is the stack up?"
            raise Unavailable(message) from error
        for partition, point in points.items():
            if point.expired:
                self.log.error("requests expired unanswered", partition=partition, count=point.expired)
        return points

    def _read(self, until: float) -> dict[int, ResumePoint]:
        consumer = KafkaConsumer(
            bootstrap_servers=self.brokers,
            group_id=None,
            enable_auto_commit=False,
            bootstrap_timeout_ms=ANSWER_MS,
            request_timeout_ms=10 * ANSWER_MS,
        )
        try:
            partitions = self._partitions(consumer)
            answered = {partition: self._answered(consumer, partition, until) for partition in partitions}
            inputs = [TopicPartition(self.requests, partition) for partition in partitions]
            # After the answers: a request that was answered meanwhile must lie before the end.
            earliest, end = consumer.beginning_offsets(inputs), consumer.end_offsets(inputs)
            return {
                place.partition: resume_offset(answered[place.partition], earliest[place], end[place])
                for place in inputs
            }
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

    def _answered(self, consumer: KafkaConsumer, partition: int, until: float) -> list[int]:
        """The input offsets that the newest records of an answers partition answer."""
        tail = TopicPartition(self.answers, partition)
        consumer.assign([tail])
        end = consumer.end_offsets([tail])[tail]
        consumer.seek(tail, max(consumer.beginning_offsets([tail])[tail], end - WINDOW))
        answered, foreign = [], 0
        while consumer.position(tail) < end:
            if time.monotonic() > until:
                raise KafkaError(f"{self.answers} could not be read to offset {end}; got to {consumer.position(tail)}")
            for record in consumer.poll(timeout_ms=POLL_MS).get(tail, []):
                offset = _in_offset(record.headers, partition)
                if offset is None:
                    foreign += 1
                else:
                    answered.append(offset)
        if foreign:
            self.log.warning("records in the answers topic are not ours", partition=partition, count=foreign)
        return answered


def _in_offset(headers: list[tuple[str, bytes]], partition: int) -> int | None:
    """The offset of the request that a record answers; None when the record is not an answer of ours."""
    named = dict(headers)
    try:
        return int(named[IN_OFFSET]) if int(named[IN_PARTITION]) == partition else None
    except (KeyError, TypeError, ValueError):
        return None
