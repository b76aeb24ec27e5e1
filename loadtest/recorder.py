"""
Reads topics as they grow, each record with the moment it was seen: what every reading process here is made of.

It knows no settings, so that the prover, which is installed without them, reads as the stack's own ledger does.
"""

import json
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, replace
from typing import Any, TextIO

from confluent_kafka import Consumer, KafkaError, Message

from apps.common.errors import Unavailable
from apps.common.kafka_access import READING, KafkaAccess
from apps.common.messages import Answer, decode_answer
from apps.common.partitions import ends_of, partitions_of

IDLE_S = 0.2
AT_ONCE = 500  # records before the journal is written
FOR_GOOD = (KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.UNKNOWN_TOPIC_OR_PART)  # what no waiting mends
NO_GROUP = KafkaError.GROUP_AUTHORIZATION_FAILED  # the client asks after its group, of which nothing here has need


class Recorder:
    """Writes the answers of a topic to a journal, and how many records no server of ours wrote."""

    def __init__(self, access: KafkaAccess, topic: str, group: str, out: TextIO) -> None:
        """``out`` is the journal; nothing is connected yet. The client wants a ``group``; none is joined."""
        self.access = access
        self.topic = topic
        self.group = group
        self.out = out
        self.ignored = 0

    def begin(self, *, from_beginning: bool) -> Consumer:
        """Fix the first offset of each partition; raises KafkaException."""
        consumer = positioned(self.access, self.group, [self.topic], from_beginning=from_beginning)
        self._write([{"positions": {place.partition: place.offset for place in consumer.assignment()}}])
        return consumer

    def keep(self, messages: Iterable[tuple[Message, float]]) -> None:
        """Write each record, and the moment it was seen, to the journal; raises Unavailable when some are gone."""
        lines: list[dict[str, Any]] = []
        for message, seen_at in sound(messages):
            answer = answer_in(message, seen_at)
            self.ignored += answer is None
            lines.append({"ignored": self.ignored} if answer is None else asdict(answer))
        self._write(lines)

    def _write(self, lines: Iterable[dict[str, Any]]) -> None:
        self.out.write("".join(json.dumps(line) + "\n" for line in lines))
        self.out.flush()


def answer_in(message: Message, seen_at: float) -> Answer | None:
    """The answer in a record, with the partition in which it stands; None when no server of ours wrote it."""
    headers: Any = message.headers()
    answer = decode_answer(message.key(), message.value(), headers or [], seen_at)
    return replace(answer, partition=message.partition()) if answer else None


def positioned(
    access: KafkaAccess, group: str, topics: Sequence[str], *, from_beginning: bool = False, committed: bool = False
) -> Consumer:
    """
    A consumer of every partition, from its end or its beginning; raises KafkaException.

    Of transactions it sees all, or only what was ``committed``; then it is told of the end of each partition, too.
    """
    level = {"isolation.level": "read_committed", "enable.partition.eof": True} if committed else {}
    consumer = Consumer({**access.librdkafka(), **READING, **level, "group.id": group})
    places = [place for topic in topics for place in partitions_of(consumer, topic)]
    for place in places:
        earliest, latest = ends_of(consumer, place)
        place.offset = earliest if from_beginning else latest
    consumer.assign(places)
    return consumer


def arriving(consumer: Consumer) -> Iterator[tuple[Message, float]]:
    """What is there now, and the moment each was seen; waits for the first one, but not for long."""
    wait = IDLE_S
    for _ in range(AT_ONCE):
        message = consumer.poll(wait)
        if message is None:
            return
        yield message, time.time()
        wait = 0


def sound(messages: Iterable[tuple[Message, float]]) -> Iterator[tuple[Message, float]]:
    """
    Those that are records; what else the client says is printed, but for the end of a partition.

    Raises Unavailable when records are gone, or may not be read.
    """
    for message, seen_at in messages:
        error = message.error()
        if error is None:
            yield message, seen_at
        elif error.code() in (KafkaError._PARTITION_EOF, NO_GROUP):  # noqa: SLF001 - so it is called
            continue
        elif error.fatal() or error.code() in FOR_GOOD:
            raise Unavailable(f"the topic {message.topic() or ''} must be readable; got {error.str()}")
        elif error.code() == KafkaError._AUTO_OFFSET_RESET:  # noqa: SLF001 - so it is called
            place = f"{message.topic()}-{message.partition()}"
            raise Unavailable(f"the answers in {place} must be there to be read; got {error.str()}")
        else:
            print(f"the broker is away, or says: {error.str()}", file=sys.stderr, flush=True)
