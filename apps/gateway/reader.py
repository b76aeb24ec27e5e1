"""
The thread that follows both topics, and hands what it read to the event loop: a batch at a time, never a record.

It begins so far back that an id keeps its answer for as long as it is promised, and at least at the newest records of
each partition: what answered last, and what waits, is known however long ago it was.
"""

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition
from structlog.stdlib import BoundLogger

from apps.common.errors import BatonError, Unavailable
from apps.common.kafka_access import READING, KafkaAccess
from apps.common.messages import decode_answer, decode_cached
from apps.common.names import StackNames
from apps.common.partitions import ANSWER_S, ends_of, partitions_of
from apps.gateway.asking import Seen, SeenAnswer, SeenCached, SeenRequest
from apps.gateway.remembered import ANEW, ROWS, digest

IDLE_S = 0.5
AT_ONCE = 500  # records before the loop is told of them
AHEAD = 8  # batches that the loop has not taken in yet
NEWEST = 16  # records of each partition that are read, however old
COMMITTED = {"isolation.level": "read_committed", "enable.partition.eof": True}
HARMLESS = (
    KafkaError._TRANSPORT,  # noqa: SLF001 - so they are called
    KafkaError._ALL_BROKERS_DOWN,  # noqa: SLF001
    KafkaError._RESOLVE,  # noqa: SLF001
    KafkaError._TIMED_OUT,  # noqa: SLF001
    KafkaError.GROUP_AUTHORIZATION_FAILED,  # the client asks after its group, of which nothing here has need
)

Take = Callable[[Sequence[Seen], Sequence[tuple[str, int]]], None]


class LogReader:
    """Reads requests and answers of all partitions, as a server sees them: what was committed."""

    def __init__(self, access: KafkaAccess, names: StackNames, log: BoundLogger) -> None:
        """Nothing is connected yet."""
        self._names = names
        self._log = log
        group = {"group.id": f"{names.stack}.gateway"}  # the client wants one; none is joined
        self._consumer = Consumer({**access.librdkafka(), **READING, **COMMITTED, **group})
        self._said = ""

    def begin(self, window_s: float) -> set[tuple[str, int]]:
        """Fix where each partition is read from; the places to be read. Raises Unavailable."""
        since = int((time.time() - window_s) * 1000)
        try:
            places = [place for topic in self._names.pair for place in self._places(topic, since)]
            self._consumer.assign(places)
        except KafkaException as error:
            raise Unavailable(f"{' and '.join(self._names.pair)} must be readable; got {error}") from error
        return {(place.topic, place.partition) for place in places}

    def _places(self, topic: str, since: int) -> list[TopicPartition]:
        places = partitions_of(self._consumer, topic)
        ends = [ends_of(self._consumer, place) for place in places]
        for place in places:
            place.offset = since
        places = self._consumer.offsets_for_times(places, ANSWER_S)
        for place, (first, end) in zip(places, ends, strict=True):
            wanted = place.offset if place.offset >= 0 else end  # none is so young
            place.offset = max(first, min(wanted, end - NEWEST))
        return places

    def start(self, loop: asyncio.AbstractEventLoop, take: Take, failed: Callable[[Exception], None]) -> None:
        """Read for ever, in a thread; ``take`` and ``failed`` are called on the loop."""
        room = threading.Semaphore(AHEAD)  # a start reads faster than the loop takes in

        def hand_over(records: list[Seen], ends: list[tuple[str, int]]) -> None:
            room.release()
            try:
                take(records, ends)
            except Exception as error:  # noqa: BLE001 - what was read and not taken in would be missing for ever
                failed(error)

        def run() -> None:
            try:
                while True:
                    records, ends = self._batch()
                    if records or ends:
                        room.acquire()
                        loop.call_soon_threadsafe(hand_over, records, ends)
            except RuntimeError:  # the loop is closed: the process ends
                return
            except Exception as error:  # noqa: BLE001 - whatever it is, nothing is read any more
                loop.call_soon_threadsafe(failed, error)

        threading.Thread(target=run, name="reader", daemon=True).start()

    def _batch(self) -> tuple[list[Seen], list[tuple[str, int]]]:
        """What is there now; waits for the first record, and for none after it."""
        first = self._consumer.poll(IDLE_S)
        if first is None:
            return [], []
        records: list[Seen] = []
        ends: list[tuple[str, int]] = []
        for message in (first, *self._consumer.consume(AT_ONCE, 0)):
            error = message.error()
            if error is None:
                if (seen := self._seen(message)) is not None:
                    records.append(seen)
            elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - so it is called
                ends.append((message.topic() or "", message.partition() or 0))
            else:
                self._bear(error, message)
        return records, ends

    def _seen(self, message: Message) -> Seen | None:
        """What a record says; None when nobody of ours wrote it."""
        partition, offset, (_, timestamp) = message.partition() or 0, message.offset() or 0, message.timestamp()
        headers: Any = message.headers() or []
        if message.topic() == self._names.answers:
            answer = decode_answer(message.key(), message.value(), headers, timestamp / 1000)
            known = answer and answer.model in (None, self._names.model) and answer.in_partition == partition
            if answer:
                return SeenAnswer(answer, timestamp) if known else None
            cached = decode_cached(message.key(), message.value(), headers)
            return SeenCached(cached, timestamp) if cached and cached.model == self._names.model else None
        named = dict(headers)
        what = digest(_bytes(message.value()), named.get(ROWS) or b"1")
        place = partition, offset
        return SeenRequest(_id(message.key(), *place), what, place, timestamp, anew=ANEW in named)

    def _bear(self, error: KafkaError, message: Message) -> None:
        """What else the client says; raises Unavailable for what reading on does not mend."""
        if error.code() not in HARMLESS or error.fatal():
            place = f"{message.topic()}-{message.partition()}"
            raise Unavailable(f"{place} must be readable; got {error.str()}; the gateway begins anew")
        if error.str() != self._said:
            self._said = error.str()
            self._log.warning("Kafka is away, or says", reason=self._said)


def _bytes(value: object) -> bytes:
    return value if isinstance(value, bytes) else str(value or "").encode()


def _id(key: object, partition: int, offset: int) -> str:
    """The id of a request as its answer will have it: where the key is none, the server names the place."""
    try:
        return _bytes(key).decode() or f"{partition}-{offset}"
    except UnicodeDecodeError:
        return f"{partition}-{offset}"


def unreadable(error: Exception) -> BatonError:
    """Why the process ends when its reader has."""
    return error if isinstance(error, BatonError) else Unavailable(f"the topics must be read; got {error!r}")
