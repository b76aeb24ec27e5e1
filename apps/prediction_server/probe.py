"""The last proof before a server is ready: real requests through Kafka, answered right by its own process."""

import json
import time
from collections.abc import Callable, Sequence

from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from structlog.stdlib import BoundLogger

from apps.common.errors import BatonError, ModelRefused
from apps.common.kafka_access import KafkaAccess
from apps.common.messages import PROBE_PREFIX, Answer, Position, Writer, decode_answer
from apps.common.names import StackNames
from apps.common.waiting import wait_until
from apps.prediction_server.golden import same
from apps.prediction_server.model import Model

POLL_MS = 100
SAY_S = 5


def probe(
    access: KafkaAccess,
    names: StackNames,
    partitions: Sequence[int],
    model: Model,
    writer: Writer,
    deadline: float,
    failure: Callable[[], str | None],
    log: BoundLogger,
) -> None:
    """
    Ask one golden row in each requests partition and wait for the answer to each that this very process wrote.

    Another process of the same release may answer first, and anybody may send a request with a probe's key; neither
    proves or refutes anything.

    The probes stand behind every request that waits, and the log says how many. Raises DeadlineMissed when this process
    answered nothing at all for ``deadline`` seconds, ModelRefused when an answer is wrong, BatonError when the query
    ends, as ``failure`` tells.
    """
    golden = next((row for row in model.golden if row["rejection"] is None), model.golden[0])
    consumer = KafkaConsumer(**access.python(), enable_auto_commit=False, group_id=None, allow_auto_create_topics=False)
    producer = KafkaProducer(**access.python(), allow_auto_create_topics=False)
    try:
        _go_to_end(consumer, [TopicPartition(names.answers, partition) for partition in partitions])
        places = [TopicPartition(names.requests, partition) for partition in partitions]
        probes = _send(producer, json.dumps(golden["fields"]).encode(), writer, places, deadline)
        answered: set[Position] = set()
        said_at = time.monotonic()

        def own_answers() -> list[Answer]:
            if (cause := failure()) is not None:
                raise BatonError(f"the query must run while it is probed; it ended: {cause}")
            return _own_answers(consumer, writer)

        def describe() -> str:
            return f"the server must answer its probes {sorted(probes)}; got answers to {sorted(answered)}"

        while answered != probes:
            for answer in wait_until(own_answers, deadline, describe, every=0.01):
                if answer.position in probes:
                    if not same(golden, {"prediction": answer.prediction, "rejection": answer.rejection}):
                        raise ModelRefused(f"the probe must give {golden['prediction']}; got {answer}; train it again")
                    answered.add(answer.position)
                elif time.monotonic() - said_at > SAY_S:
                    said_at = time.monotonic()
                    to_go = dict(probes)[answer.in_partition] - answer.in_offset
                    log.info("catching up", partition=answer.in_partition, requests=to_go)
    finally:
        producer.close()
        consumer.close()


def _send(
    producer: KafkaProducer, value: bytes, writer: Writer, places: Sequence[TopicPartition], deadline: float
) -> set[Position]:
    """Send a probe through each partition; where the broker says that they stand."""
    sent = [
        producer.send(
            place.topic,
            value,
            key=f"{PROBE_PREFIX}{writer.release}-{place.partition}".encode(),
            partition=place.partition,
        )
        for place in places
    ]
    return {(record.partition, record.offset) for record in (future.get(deadline) for future in sent)}


def _go_to_end(consumer: KafkaConsumer, tails: Sequence[TopicPartition]) -> None:
    consumer.assign(tails)
    for tail, end in consumer.end_offsets(tails).items():
        consumer.seek(tail, end)


def _own_answers(consumer: KafkaConsumer, writer: Writer) -> list[Answer]:
    decoded = [
        decode_answer(record.key, record.value, record.headers, 0.0)
        for records in consumer.poll(timeout_ms=POLL_MS).values()
        for record in records
    ]
    return [answer for answer in decoded if answer and answer.process == writer.process]
