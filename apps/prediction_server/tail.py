"""Reads the tail of the answers topic, which says where a server must start."""

import json
from dataclasses import dataclass

from kafka import KafkaConsumer, TopicPartition
from structlog.stdlib import BoundLogger

from apps.common.errors import DeadlineMissed, SettingsError, Unavailable
from apps.common.messages import ANSWERS, IN_OFFSET, IN_PARTITION, REQUESTS
from apps.common.waiting import wait_until
from apps.prediction_server.progress import WINDOW, first_unanswered

POLL_MS = 500


@dataclass(frozen=True)
class Start:
    """Where to begin: input partition -> offset, and how many records in the answers topic were not ours."""

    offsets: dict[int, int]
    ignored: int

    def as_json(self) -> str:
        """As Spark's Kafka source takes it."""
        return json.dumps({REQUESTS: {str(partition): offset for partition, offset in self.offsets.items()}})


def find_start(brokers: str, deadline: float, log: BoundLogger) -> Start:
    """
    Read the tail of each answers partition and return the first unanswered request of each requests partition.

    Raises Unavailable when Kafka does not answer within ``deadline`` seconds, SettingsError when the topics' partitions
    differ in number.
    """
    consumer = _connect(brokers, deadline)
    try:
        partitions = _partitions(consumer, deadline)
        requests = [TopicPartition(REQUESTS, partition) for partition in partitions]
        earliest, latest = consumer.beginning_offsets(requests), consumer.end_offsets(requests)
        offsets, ignored = {}, 0
        for partition in partitions:
            answered, foreign = _answered(consumer, partition)
            ignored += foreign
            source = TopicPartition(REQUESTS, partition)
            wanted = first_unanswered(answered)
            first = earliest[source] if wanted is None else wanted
            if first < earliest[source]:
                log.error("requests expired unanswered", partition=partition, count=earliest[source] - first)
            offsets[partition] = min(max(first, earliest[source]), latest[source])
        return Start(offsets, ignored)
    finally:
        consumer.close()


def _connect(brokers: str, deadline: float) -> KafkaConsumer:
    problem: list[Exception] = []

    def connected() -> KafkaConsumer | None:
        try:
            return KafkaConsumer(bootstrap_servers=brokers, enable_auto_commit=False, group_id=None)
        except Exception as error:  # noqa: BLE001 - the client raises what it likes while a broker starts
            problem[:] = [error]
            return None

    try:
        return wait_until(connected, deadline, "")
    except DeadlineMissed as error:
        message = f"Kafka must answer at {brokers}; got {problem}; is the stack up?"
        raise Unavailable(message) from error


def _partitions(consumer: KafkaConsumer, deadline: float) -> list[int]:
    """The partition numbers, equal for both topics."""
    wait_until(
        lambda: consumer.partitions_for_topic(REQUESTS) and consumer.partitions_for_topic(ANSWERS),
        deadline,
        f"topics {REQUESTS} and {ANSWERS} must exist; create them",
    )
    requests, answers = (sorted(consumer.partitions_for_topic(topic)) for topic in (REQUESTS, ANSWERS))
    if requests != answers:
        message = (
            f"{ANSWERS} must have as many partitions as {REQUESTS} ({len(requests)}); got {len(answers)}; "
            "an answer stands in the partition of its request: add partitions to the smaller topic"
        )
        raise SettingsError(message)
    return list(requests)


def _answered(consumer: KafkaConsumer, partition: int) -> tuple[list[int], int]:
    """The input offsets that the newest records of an answers partition answer, and how many records are not ours."""
    tail = TopicPartition(ANSWERS, partition)
    consumer.assign([tail])
    end = consumer.end_offsets([tail])[tail]
    consumer.seek(tail, max(consumer.beginning_offsets([tail])[tail], end - WINDOW))
    answered, foreign = [], 0
    while consumer.position(tail) < end:
        for record in consumer.poll(timeout_ms=POLL_MS).get(tail, []):
            headers = dict(record.headers)
            try:
                if int(headers[IN_PARTITION]) == partition:
                    answered.append(int(headers[IN_OFFSET]))
                    continue
            except (KeyError, ValueError, TypeError):
                pass
            foreign += 1
    return answered, foreign
