"""The last proof before a server is ready: real requests through Kafka, answered right by its own release."""

import json
from collections.abc import Callable, Iterator, Sequence

from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from apps.common.errors import BatonError, ModelRefused
from apps.common.messages import ANSWERS, PROBE_PREFIX, REQUESTS, Answer, decode_answer
from apps.common.waiting import wait_until
from apps.prediction_server.golden import same
from apps.prediction_server.model import Model

POLL_MS = 100


def probe(
    brokers: str,
    partitions: Sequence[int],
    model: Model,
    release: int,
    deadline: float,
    failure: Callable[[], str | None],
) -> None:
    """
    Ask one golden row in each requests partition and wait for this release's own answer to each.

    Raises DeadlineMissed without an answer, ModelRefused when an answer is wrong, BatonError when the query ends, as
    ``failure`` tells.
    """
    golden = next((row for row in model.golden if row["rejection"] is None), model.golden[0])
    probes = {f"{PROBE_PREFIX}{release}-{partition}": partition for partition in partitions}
    consumer = KafkaConsumer(bootstrap_servers=brokers, enable_auto_commit=False, group_id=None)
    producer = KafkaProducer(bootstrap_servers=brokers)
    try:
        _go_to_end(consumer, partitions)
        for key, partition in probes.items():
            producer.send(REQUESTS, json.dumps(golden["fields"]).encode(), key=key.encode(), partition=partition)
        producer.flush(deadline)
        answered: set[str] = set()

        def all_answered() -> bool:
            if (cause := failure()) is not None:
                raise BatonError(f"the query must run while it is probed; it ended: {cause}")
            for answer in _own_answers(consumer, release):
                if answer.request_id in probes:
                    if not same(golden, {"prediction": answer.prediction, "rejection": answer.rejection}):
                        raise ModelRefused(f"the probe must give {golden['prediction']}; got {answer}; train it again")
                    answered.add(answer.request_id)
            return answered == probes.keys()

        def describe() -> str:
            return f"the server must answer its probes {sorted(probes)}; got answers to {sorted(answered)}"

        wait_until(all_answered, deadline, describe, every=0.01)
    finally:
        producer.close()
        consumer.close()


def _go_to_end(consumer: KafkaConsumer, partitions: Sequence[int]) -> None:
    tails = [TopicPartition(ANSWERS, partition) for partition in partitions]
    consumer.assign(tails)
    for tail, end in consumer.end_offsets(tails).items():
        consumer.seek(tail, end)


def _own_answers(consumer: KafkaConsumer, release: int) -> Iterator[Answer]:
    for records in consumer.poll(timeout_ms=POLL_MS).values():
        for record in records:
            answer = decode_answer(record.key, record.value, record.headers, 0.0)
            if answer and answer.release == release:
                yield answer
