"""
Replays the test part as requests, and their outcomes later, on a schedule that nothing holds back.

The k-th request is due at start + k / rate whatever became of those before it; one that is late goes at once. A sender
that waited for answers would send less exactly when the server is slow, and would not see how slow it is.
"""

import contextlib
import itertools
import json
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from apps.batch_dropper.encoding import Request
from apps.batch_dropper.journal import FLUSH_S, Journal
from apps.common.errors import Unavailable
from apps.common.kafka_access import KafkaAccess
from apps.common.names import StackNames

FLUSH_AT_END_S = 45
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


def connect(access: KafkaAccess, linger_ms: int) -> Producer:
    """A producer that loses nothing."""
    return Producer({**access.librdkafka(), **RELIABLE, "linger.ms": linger_ms})


@dataclass
class Lateness:
    """How far behind its schedule the sender was, in seconds."""

    worst: float = 0.0
    over_5_ms: int = 0

    def note(self, seconds: float) -> None:
        """One send that was due ``seconds`` ago."""
        self.worst = max(self.worst, seconds)
        self.over_5_ms += seconds > 0.005  # noqa: PLR2004 - named so


@dataclass
class Replay:
    """One run of the sender."""

    access: KafkaAccess
    names: StackNames
    run: str
    requests: Sequence[Request]
    journal: Journal
    rate: float
    seconds: float
    outcome_delay: float
    stop: threading.Event = field(default_factory=threading.Event)
    lateness: Lateness = field(default_factory=Lateness)
    sent: int = 0
    _owed: deque[tuple[float, bytes, bytes]] = field(default_factory=deque)  # when due, key, value

    def go(self) -> None:
        """Send until the time is over or ``stop`` is set; then wait until everything is acknowledged."""
        self._requests = connect(self.access, linger_ms=0)
        self._outcomes = connect(self.access, linger_ms=50)  # nobody waits for them
        self._require_topics()
        try:
            self._send_on_schedule()
        finally:
            self._finish()

    def _require_topics(self) -> None:
        brokers = self.access.brokers
        try:
            there = self._requests.list_topics(timeout=START_S).topics  # of all: to ask for one may make it
        except KafkaException as error:
            raise Unavailable(f"Kafka must answer at {brokers}; got {error}; is the stack up?") from error
        for topic in (self.names.requests, self.names.outcomes):
            if topic not in there:
                raise Unavailable(f"Kafka at {brokers} must have the topic {topic}; got none; is the stack up?")

    def _send_on_schedule(self) -> None:
        start = time.monotonic()
        end = start + self.seconds if self.seconds else float("inf")
        for number, request in enumerate(itertools.cycle(self.requests)):
            due = start + number / self.rate
            if due >= end or not self._wait(due):
                return
            late_s = time.monotonic() - due
            self.lateness.note(late_s)
            self._send(f"{self.run}-{number}", request, late_s)

    def _wait(self, due: float) -> bool:
        """Do what else there is to do until ``due``; False when it is time to stop."""
        while not self.stop.is_set():
            now = time.monotonic()
            self._send_outcomes(now)
            self.journal.flush()
            if due <= now:
                self._requests.poll(0)
                return True
            self._pause(min(due, self._owed[0][0] if self._owed else due, now + FLUSH_S) - now)
        return False

    def _pause(self, seconds: float) -> None:
        """Wait, in the client while that is exact enough: it tells of each acknowledgement as it comes."""
        if seconds >= 0.002:  # noqa: PLR2004 - the client's clock ticks in milliseconds
            self._requests.poll(seconds - 0.001)
        else:
            self.stop.wait(max(seconds, SHORT_S))
            self._requests.poll(0)

    def _send(self, request_id: str, request: Request, late_s: float) -> None:
        key = request_id.encode()
        self.sent += 1
        self.journal.sent(request_id, time.time(), late_s)

        def delivered(error: KafkaError | None, message: Message) -> None:
            if error:
                self.journal.broke(request_id, str(error))
            else:
                self.journal.acked(request_id, message.partition(), message.offset())

        try:
            self._requests.produce(self.names.requests, request.value, key, on_delivery=delivered)
        except (KafkaException, BufferError) as error:
            self.journal.broke(request_id, error)
            return
        if request.outcome:
            value = f'{{"request_id": {json.dumps(request_id)}, "outcome": {request.outcome}}}'
            self._owed.append((time.monotonic() + self.outcome_delay, key, value.encode()))

    def _send_outcomes(self, now: float) -> None:
        while self._owed and self._owed[0][0] <= now:
            _, key, value = self._owed.popleft()
            with contextlib.suppress(KafkaException, BufferError):  # while the broker is away there may be no room
                self._outcomes.produce(self.names.outcomes, value, key)
            self._outcomes.poll(0)

    def _finish(self) -> None:
        """Wait for the acknowledgements; outcomes that are still to come go now rather than never."""
        self._send_outcomes(float("inf"))
        end = time.monotonic() + FLUSH_AT_END_S
        for producer in (self._requests, self._outcomes):
            producer.flush(max(0.1, end - time.monotonic()))  # the journal says what was not acknowledged
        self.journal.close()
