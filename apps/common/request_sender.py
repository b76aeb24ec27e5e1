"""
Sends requests on a schedule that nothing holds back (an open loop), and writes down what became of each.

The k-th request is due at start + k / rate whatever became of those before it; one that is late goes at once. A sender
that waited for answers would send less exactly when the server is slow, and would not see how slow it is.
"""

import threading
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from apps.common.errors import Unavailable
from apps.common.kafka_access import KafkaAccess
from apps.common.send_journal import FLUSH_S, SendWriter

START_S = 20
SHORT_S = 0.0003  # a sender that never sleeps takes the core from what it measures
RELIABLE = {
    "acks": "all",
    "enable.idempotence": True,
    "delivery.timeout.ms": 2**31 - 1,  # a broker may be away for a while; what is queued waits for it
    "queue.buffering.max.messages": 0,  # as many as fit into the memory for them, a GiB
    "retry.backoff.ms": 50,
    "reconnect.backoff.max.ms": 500,
    "socket.timeout.ms": 10_000,
    "message.max.bytes": 2 * 1024 * 1024,  # the server rejects what is too large, not the sender
    "partitioner": "murmur2_random",  # Java's, so that a key stands where every other client puts it
}
NEVER_THERE = frozenset(  # errors after which a request stands in no log
    {
        KafkaError._PURGE_QUEUE,  # noqa: SLF001 - so it is called
        KafkaError.MSG_SIZE_TOO_LARGE,
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.INVALID_RECORD,
    }
)


def connect(access: KafkaAccess, linger_ms: int) -> Producer:
    """A producer that loses nothing."""
    return Producer({**access.librdkafka(), **RELIABLE, "linger.ms": linger_ms})


def require_topics(producer: Producer, access: KafkaAccess, topics: Collection[str], remedy: str) -> None:
    """Raise Unavailable, with ``remedy``, when Kafka does not answer within START_S seconds or lacks a topic."""
    try:
        there = producer.list_topics(timeout=START_S).topics  # of all: to ask for one may make it
    except KafkaException as error:
        raise Unavailable(f"Kafka must answer at {access.brokers}; got {error}; {remedy}") from error
    for topic in topics:
        if topic not in there:
            raise Unavailable(f"Kafka at {access.brokers} must have the topic {topic}; got none; {remedy}")


@dataclass
class Lateness:
    """How far behind its schedule the sender was, in seconds."""

    worst: float = 0.0
    over_5_ms: int = 0

    def note(self, seconds: float) -> None:
        """One send that was due ``seconds`` ago."""
        self.worst = max(self.worst, seconds)
        self.over_5_ms += seconds > 0.005  # noqa: PLR2004 - named so


class RequestSender:
    """
    One run of sending to one topic; ``rate`` is in requests a second, ``seconds`` 0 for until ``stop`` is set.

    ``meanwhile`` is given the time (``time.monotonic``), does what else there is to do and returns when it wants to be
    asked again at the latest.
    """

    def __init__(
        self,
        producer: Producer,
        topic: str,
        journal: SendWriter,
        rate: float,
        seconds: float,
        stop: threading.Event,
        meanwhile: Callable[[float], float] = lambda _: float("inf"),
    ) -> None:
        """The schedule begins with the first turn."""
        self._producer = producer
        self._topic = topic
        self._journal = journal
        self._rate = rate
        self._seconds = seconds or float("inf")
        self._stop = stop
        self._meanwhile = meanwhile
        self._start: float | None = None
        self.lateness = Lateness()
        self.sent = 0

    def wait_for_turn(self) -> bool:
        """Wait until the next request is due; False when it is time to stop."""
        start = self._start = time.monotonic() if self._start is None else self._start
        due = start + self.sent / self._rate
        return due < start + self._seconds and self._wait(due)

    def _wait(self, due: float) -> bool:
        while not self._stop.is_set():
            now = time.monotonic()
            wanted = self._meanwhile(now)
            self._journal.flush()
            if due <= now:
                self._producer.poll(0)
                return True
            self._pause(min(due, wanted, now + FLUSH_S) - now)
        return False

    def _pause(self, seconds: float) -> None:
        """Wait, in the client while that is exact enough: it tells of each acknowledgement as it comes."""
        if seconds >= 0.002:  # noqa: PLR2004 - the client's clock ticks in milliseconds
            self._producer.poll(seconds - 0.001)
        else:
            self._stop.wait(max(seconds, SHORT_S))
            self._producer.poll(0)

    def send(self, request_id: str, value: bytes) -> bool:
        """Hand over the request whose turn it is; whether the client took it."""
        late_s = time.monotonic() - (self._start or 0.0) - self.sent / self._rate
        self.lateness.note(late_s)
        self.sent += 1
        self._journal.sent(request_id, time.time(), late_s)

        def delivered(error: KafkaError | None, message: Message) -> None:
            if error:
                self._journal.broke(request_id, str(error), refused=error.code() in NEVER_THERE)
            else:
                self._journal.acked(request_id, message.partition(), message.offset())

        try:
            self._producer.produce(self._topic, value, request_id.encode(), on_delivery=delivered)
        except (KafkaException, BufferError) as error:
            self._journal.broke(request_id, error, refused=True)
            return False
        return True


def finish(producer: Producer, seconds: float) -> None:
    """Wait until everything is acknowledged, at most ``seconds``; say of the rest whether it was sent."""
    if producer.flush(seconds):
        producer.purge()
        producer.flush(1)
