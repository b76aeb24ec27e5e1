"""
Replays the test part as requests, and their outcomes later.

The requests go on a schedule that nothing holds back: see apps/common/request_sender.py.
"""

import contextlib
import itertools
import json
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from confluent_kafka import KafkaException

from apps.batch_dropper.encoding import Request
from apps.common.kafka_access import KafkaAccess
from apps.common.names import StackNames
from apps.common.request_sender import RequestSender, connect, finish, require_topics
from apps.common.send_journal import SendWriter

FLUSH_AT_END_S = 45


@dataclass
class Replay:
    """One run of the sender."""

    access: KafkaAccess
    names: StackNames
    run: str
    requests: Sequence[Request]
    journal: SendWriter
    rate: float
    seconds: float
    outcome_delay: float
    stop: threading.Event = field(default_factory=threading.Event)
    _owed: deque[tuple[float, bytes, bytes]] = field(default_factory=deque)  # when due, key, value

    def __post_init__(self) -> None:
        self._requests = connect(self.access, linger_ms=0)
        self._outcomes = connect(self.access, linger_ms=50)  # nobody waits for them
        self.sender = RequestSender(
            *(self._requests, self.names.requests, self.journal, self.rate, self.seconds, self.stop),
            self._send_outcomes,
        )

    def go(self) -> None:
        """Send until the time is over or ``stop`` is set; then wait until everything is acknowledged."""
        topics = (self.names.requests, self.names.outcomes)
        require_topics(self._requests, self.access, topics, "is the stack up?")
        try:
            self._send_on_schedule()
        finally:
            self._finish()

    def _send_on_schedule(self) -> None:
        for number, request in enumerate(itertools.cycle(self.requests)):
            if not self.sender.wait_for_turn():
                return
            request_id = f"{self.run}-{number}"
            if self.sender.send(request_id, request.value) and request.outcome:
                value = f'{{"request_id": {json.dumps(request_id)}, "outcome": {request.outcome}}}'
                self._owed.append((time.monotonic() + self.outcome_delay, request_id.encode(), value.encode()))

    def _send_outcomes(self, now: float) -> float:
        """Send those that are due; return when the next one is."""
        while self._owed and self._owed[0][0] <= now:
            _, key, value = self._owed.popleft()
            with contextlib.suppress(KafkaException, BufferError):  # while the broker is away there may be no room
                self._outcomes.produce(self.names.outcomes, value, key)
            self._outcomes.poll(0)
        return self._owed[0][0] if self._owed else float("inf")

    def _finish(self) -> None:
        """Wait for the acknowledgements; outcomes that are still to come go now rather than never."""
        self._send_outcomes(float("inf"))
        end = time.monotonic() + FLUSH_AT_END_S
        for producer in (self._requests, self._outcomes):
            finish(producer, max(0.1, end - time.monotonic()))  # the journal says what was not acknowledged
        self.journal.close()
