"""``./baton ask``: one request through Kafka as any client would send it, and its answer, explained."""

import json
import secrets
import time
from contextlib import closing
from typing import Any

from confluent_kafka import KafkaException, Message

from apps import datasets
from apps.common.errors import BatonError, DeadlineMissed, Unavailable
from apps.common.messages import Answer, Position, object_in
from apps.common.request_sender import START_S, connect, require_topics
from apps.common.settings import kafka_access
from loadtest.recorder import answer_in, arriving, positioned, sound
from stack.cli.console import err, out, show
from stack.cli.pipeline import Pipeline

SHOWN = 8  # fields of a list


def ask(pipeline: Pipeline, value: bytes, wait_s: float, *, as_json: bool) -> int:
    """Send ``value``, and show what is answered within ``wait_s`` seconds; the exit code: 1 when it is a rejection."""
    answer, ms = _answered(pipeline, value, wait_s)
    dataset = datasets.get(pipeline.dataset)
    known, given = [name for name in dataset.column_names if name != dataset.target], list(object_in(value))
    told = {
        "prediction": answer.prediction,
        "rejection": answer.rejection,
        "version": answer.model_version,
        "release": answer.release,
        "latency_ms": round(ms, 2),
        "request_id": answer.request_id,
        "partition": answer.in_partition,
        "offset": answer.in_offset,
        "not_given": [name for name in known if name not in given],
        "unknown": [name for name in given if name not in known],
    }
    if as_json:
        print(json.dumps(told))
    else:
        _show(told, dataset.target)
    return 1 if answer.rejection is not None else 0


def row_of(requests: list[bytes], row: int) -> bytes:
    """The request of a row of the test part, the first is 1."""
    if not 1 <= row <= len(requests):
        raise BatonError(f"--row must be from 1 to {len(requests)}, the rows of the test part; got {row}")
    return requests[row - 1]


def _show(told: dict[str, Any], target: str) -> None:
    if told["rejection"] is None:
        show(f"{target} {told['prediction']:,.6g}")
    else:
        err.print(f"rejected: {told['rejection']}")
    out.print(
        f"version {told['version']}, release {told['release']}, in {told['latency_ms']:g} ms; "
        f"request {told['request_id']} at offset {told['offset']} of partition {told['partition']}",
        style="dim",
    )
    for what, names in (("not given", told["not_given"]), ("not known, and ignored", told["unknown"])):
        if names:
            rest = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
            out.print(f"{what}: {', '.join(names[:SHOWN])}{rest}", style="dim")


def _answered(pipeline: Pipeline, value: bytes, wait_s: float) -> tuple[Answer, float]:
    """The answer, and milliseconds from sending the request until it was seen."""
    access, names = kafka_access(pipeline.environment), pipeline.names
    producer, key, placed = connect(access, linger_ms=0), f"ask-{secrets.token_hex(6)}", list[Position]()
    require_topics(producer, access, names.pair, "is the stack up?")

    def note(error: Any, message: Message) -> None:
        if error:
            raise Unavailable(f"Kafka must take the request; got {error}")
        placed.append((message.partition() or 0, message.offset() or 0))

    try:
        consumer = positioned(access, f"{names.stack}.ask", [names.answers])
    except KafkaException as error:
        raise Unavailable(f"the topic {names.answers} must be readable; got {error}") from error
    with closing(consumer):
        list(arriving(consumer))  # so that what is measured is no connecting
        began = time.monotonic()
        try:
            producer.produce(names.requests, value, key.encode(), on_delivery=note)
        except KafkaException as error:  # larger than any client may send
            raise BatonError(f"Kafka must take a request of {len(value)} bytes; got {error}; send less") from error
        if producer.flush(START_S):
            raise Unavailable(f"Kafka at {access.brokers} must take the request within {START_S} s; it did not")
        while time.monotonic() < began + wait_s:
            for message, seen_at in sound(arriving(consumer)):
                answer = answer_in(message, seen_at)
                if answer and (answer.request_id, [answer.position]) == (key, placed):
                    return answer, (time.monotonic() - began) * 1000
    partition, offset = placed[0]
    raise DeadlineMissed(
        f"request {key} at offset {offset} of partition {partition} must be answered within {wait_s:g} s; it waits: "
        "./baton status says what for, and it will be answered"
    )
