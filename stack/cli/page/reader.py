"""
Reads the topics for the page: the answers and live metrics of the last hours, and how far the requests reach.

Of the requests only the ends are asked: an answer tells when its request came, so what they hold need not be carried
here. Nothing is joined or committed, and nobody waits for this reader.
"""

import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

from confluent_kafka import Consumer, KafkaException, Message, TopicPartition

from apps.common.errors import BatonError, Unavailable
from apps.common.kafka_access import READING, KafkaAccess
from apps.common.messages import IN_OFFSET, IN_PARTITION, IN_TIMESTAMP, MODEL_VERSION, RELEASE
from apps.common.names import StackNames
from loadtest.recorder import AT_ONCE, arriving, sound
from stack.cli.page.flow import KEPT_S, Flow
from stack.cli.page.live_error import LiveError

LOOK_EVERY_S = 1.0
AGAIN_S = 2.0
ANSWER_S = 5
MOST_BEHIND = 60_000  # records of a partition that a start reads again
LIVE_KEPT_S = 6 * KEPT_S


class TopicReader:
    """Keeps a Flow and a LiveError up to date, in a thread; ``problem`` is why it cannot, empty when it can."""

    def __init__(self, access: KafkaAccess, names: StackNames, lock: threading.Lock) -> None:
        """Whoever reads ``flow`` or ``live`` holds ``lock``."""
        self.access = access
        self.names = names
        self.lock = lock
        self.flow = Flow(time.time())
        self.live = LiveError()
        self.problem = ""
        self._ended = threading.Event()

    def start(self) -> None:
        """Begin to read; what was written before comes first."""
        threading.Thread(target=self._run, daemon=True, name="page-topics").start()

    def end(self) -> None:
        """Read no more."""
        self._ended.set()

    def _run(self) -> None:
        while not self._ended.is_set():
            try:
                self._read()
            except (KafkaException, BatonError) as error:
                self.problem = f"Kafka must answer at {self.access.brokers}; got {error}; it is asked again"
                self._ended.wait(AGAIN_S)

    def _read(self) -> None:
        """Until something fails, or the end."""
        group = {"group.id": f"{self.names.stack}.page"}
        consumer = Consumer({**self.access.librdkafka(), **READING, **group})
        try:
            places, requests = self._places(consumer), _partitions(consumer, self.names.requests)
            with self.lock:  # only now: while Kafka is away the hour before stays to be seen
                self.flow, self.live = Flow(time.time()), LiveError()
            consumer.assign(places)
            looked_at, caught_up = 0.0, False
            while not self._ended.is_set():
                taken = self._take(sound(arriving(consumer)))
                caught_up = caught_up or taken < AT_ONCE  # before that, what is answered would seem to wait
                if caught_up and time.monotonic() >= looked_at + LOOK_EVERY_S:
                    looked_at = time.monotonic()
                    self._look(consumer, requests)
        finally:
            consumer.close()

    def _places(self, consumer: Consumer) -> list[TopicPartition]:
        answers = _partitions(consumer, self.names.answers)
        if not answers:
            raise Unavailable(f"the topic {self.names.answers} must be there; got none yet")
        live = _partitions(consumer, self.names.live_metrics)
        wanted = [*_since(consumer, answers, KEPT_S), *_since(consumer, live, LIVE_KEPT_S)]
        for place in wanted:
            low, high = consumer.get_watermark_offsets(place, ANSWER_S)
            first = high if place.offset < 0 else place.offset
            place.offset = max(low, min(first, high - 1), high - MOST_BEHIND)  # the last answer tells what is next
        return wanted

    def _look(self, consumer: Consumer, requests: Iterable[TopicPartition]) -> None:
        marks = {place.partition: consumer.get_watermark_offsets(place, ANSWER_S) for place in requests}
        with self.lock:
            for partition, (low, _) in marks.items():
                self.flow.place(partition, low)
            self.flow.ends({partition: high for partition, (_, high) in marks.items()}, time.time())
        self.problem = ""

    def _take(self, messages: Iterable[tuple[Message, float]]) -> int:
        records = [message for message, _ in messages]
        with self.lock:
            for message in records:
                if message.topic() == self.names.live_metrics:
                    self.live.put(message.value())
                else:
                    note_answer(self.flow.answer, message.headers(), message.timestamp()[1])
        return len(records)


def note_answer(note: Callable[..., None], headers: Any, answered_ms: int) -> None:
    """Hand an answer's headers on as what they mean; a record that no server of ours wrote is passed over."""
    named = dict(headers or [])
    try:
        place = int(named[IN_PARTITION]), int(named[IN_OFFSET]), int(named[IN_TIMESTAMP])
        release, version = int(named[RELEASE]), named[MODEL_VERSION].decode()
    except (KeyError, TypeError, ValueError, AttributeError):
        return
    note(*place, answered_ms, release, version)


def _partitions(consumer: Consumer, topic: str) -> list[TopicPartition]:
    """The partitions of a topic; none when it is not there."""
    described = consumer.list_topics(topic, ANSWER_S).topics[topic]
    return [] if described.error else [TopicPartition(topic, number) for number in described.partitions]


def _since(consumer: Consumer, places: list[TopicPartition], seconds: float) -> list[TopicPartition]:
    """Each partition at its first record that is not older than so many seconds; of none, the client would fail."""
    at = int((time.time() - seconds) * 1000)
    return places and consumer.offsets_for_times([TopicPartition(p.topic, p.partition, at) for p in places], ANSWER_S)
