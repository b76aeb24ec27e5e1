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

from kafka import KafkaProducer
from kafka.errors import KafkaError

from apps.batch_dropper.encoding import Request
from apps.batch_dropper.journal import FLUSH_S, Journal
from apps.common.errors import Unavailable
from apps.common.names import StackNames

FLUSH_AT_END_S = 45
START_MS = 20_000
FOR_EVER_MS = 2**31 - 1
RELIABLE = {
    "acks": "all",
    "enable_idempotence": True,
    "delivery_timeout_ms": FOR_EVER_MS,  # a broker may be away for a while; what is queued waits for it
    "request_timeout_ms": 10_000,
    "reconnect_backoff_max_ms": 500,
    "retry_backoff_ms": 50,
    "bootstrap_timeout_ms": START_MS,
    "max_block_ms": START_MS,
    "max_request_size": 2 * 1024 * 1024,  # the server rejects what is too large, not the sender
    "allow_auto_create_topics": False,
    "metrics_enabled": False,
}


def connect(kafka: str, linger_ms: int) -> KafkaProducer:
    """A producer that loses nothing; raise Unavailable when there is no broker."""
    try:
        return KafkaProducer(bootstrap_servers=kafka, linger_ms=linger_ms, **RELIABLE)
    except KafkaError as error:
        raise Unavailable(f"Kafka must answer at {kafka}; got {error!r}; is the stack up?") from error


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

    kafka: str
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
        self._requests = connect(self.kafka, linger_ms=0)
        self._outcomes = connect(self.kafka, linger_ms=50)  # nobody waits for them
        for producer, topic in ((self._requests, self.names.requests), (self._outcomes, self.names.outcomes)):
            self._require_topic(producer, topic)
        try:
            self._send_on_schedule()
        finally:
            self._finish()

    def _require_topic(self, producer: KafkaProducer, topic: str) -> None:
        try:
            partitions = producer.partitions_for(topic)
        except KafkaError as error:
            partitions, reason = None, str(error)
        else:
            reason = "no partitions"
        if not partitions:
            raise Unavailable(f"Kafka at {self.kafka} must have the topic {topic}; got {reason}; is the stack up?")

    def _send_on_schedule(self) -> None:
        start = time.monotonic()
        end = start + self.seconds if self.seconds else float("inf")
        for number, request in enumerate(itertools.cycle(self.requests)):
            due = start + number / self.rate
            if due >= end or not self._wait(due):
                return
            self._send(f"{self.run}-{number}", request)
            self.lateness.note(time.monotonic() - due)

    def _wait(self, due: float) -> bool:
        """Do what else there is to do until ``due``; False when it is time to stop."""
        while True:
            now = time.monotonic()
            self._send_outcomes(now)
            self.journal.flush()
            if due <= now:
                return not self.stop.is_set()
            pause = min(due, self._owed[0][0] if self._owed else due) - now
            if self.stop.wait(min(max(pause, 0.0), FLUSH_S)):
                return False

    def _send(self, request_id: str, request: Request) -> None:
        key = request_id.encode()
        self.sent += 1
        self.journal.sent(request_id, time.time())
        try:
            future = self._requests.send(self.names.requests, key=key, value=request.value)
        except (KafkaError, ValueError) as error:
            self.journal.broke(request_id, error)
            return
        future.add_callback(lambda done: self.journal.acked(request_id, done.partition, done.offset))
        future.add_errback(lambda error: self.journal.broke(request_id, error))
        if request.outcome:
            value = f'{{"request_id": {json.dumps(request_id)}, "outcome": {request.outcome}}}'
            self._owed.append((time.monotonic() + self.outcome_delay, key, value.encode()))

    def _send_outcomes(self, now: float) -> None:
        while self._owed and self._owed[0][0] <= now:
            _, key, value = self._owed.popleft()
            self._outcomes.send(self.names.outcomes, key=key, value=value)

    def _finish(self) -> None:
        """Wait for the acknowledgements; outcomes that are still to come go now rather than never."""
        self._send_outcomes(float("inf"))
        end = time.monotonic() + FLUSH_AT_END_S
        for producer in (self._requests, self._outcomes):
            with contextlib.suppress(KafkaError):  # the journal says which requests were not acknowledged
                producer.flush(timeout=max(0.1, end - time.monotonic()))
        self.journal.close()
        for producer in (self._requests, self._outcomes):
            with contextlib.suppress(KafkaError):
                producer.close(timeout=1)
