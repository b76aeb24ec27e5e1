"""The last proof before a server is ready: real requests through Kafka, answered right by its own release."""

import json
from collections.abc import Callable, Iterator

from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from apps.common.errors import BatonError, ModelRefused
from apps.common.messages import ANSWERS, PROBE_PREFIX, REQUESTS, Answer, decode_answer
from apps.common.waiting import wait_until
from apps.prediction_server.golden import same
from apps.prediction_server.model import Model


def probe(
    brokers: str, partitions: list[int], model: Model, release: int, deadline: float, alive: Callable[[], bool]
) -> None:
    """
    Ask one golden row in each requests partition and wait for this release's own answer to each.

    Raises DeadlineMissed without an answer, ModelRefused when an answer is wrong.
    """
    golden = next((row for row in model.golden if row["rejection"] is None), model.golden[0])
    wanted = {f"{PROBE_PREFIX}{release}-{partition}": partition for partition in partitions}
    consumer = KafkaConsumer(bootstrap_servers=brokers, enable_auto_commit=False, group_id=None)
    producer = KafkaProducer(bootstrap_servers=brokers)
    try:
        tails = [TopicPartition(ANSWERS, partition) for partition in partitions]
        consumer.assign(tails)
        for tail, end in consumer.end_offsets(tails).items():
            consumer.seek(tail, end)
        for key, partition in wanted.items():
            producer.send(REQUESTS, json.dumps(golden["fields"]).encode(), key=key.encode(), partition=partition)
        producer.flush(deadline)
        answered: set[str] = set()

        def all_answered() -> bool:
            if not alive():
                raise BatonError("the query must run while it is probed; it ended")
            for answer in _own_answers(consumer, release):
                if answer.request_id in wanted:
                    if not same(golden, {"prediction": answer.prediction, "rejection": answer.rejection}):
                        raise ModelRefused(f"the probe must give {golden['prediction']}; got {answer}")
                    answered.add(answer.request_id)
            return answered == wanted.keys()

        wait_until(
            all_answered, deadline, lambda: f"the server must answer its probes; got {sorted(answered)}", every=0.01
        )
    finally:
        producer.close()
        consumer.close()


def _own_answers(consumer: KafkaConsumer, release: int) -> Iterator[Answer]:
    for records in consumer.poll(timeout_ms=100).values():
        for record in records:
            answer = decode_answer(record.key, record.value, record.headers, 0.0)
            if answer and answer.release == release:
                yield answer
