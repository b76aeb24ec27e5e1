"""
The wire of a load: one producer, one reader, a schedule and a sweeper for a whole process, by kafka-python.

The k-th request is due when the schedule says, whatever became of those before it (an open loop), and every time is
counted from that moment: a client that is late shows. Under locust the threads here are greenlets.
"""

import itertools
import secrets
import threading
import time
from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Any

from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import KafkaError

from apps.common.errors import Unavailable
from apps.common.kafka_access import KafkaAccess
from apps.common.names import StackNames
from apps.common.waiting import pause
from loadtest.schedule import LoadSchedule, LoadTally
from loadtest.under_way import UnderWay

IDLE_S = 0.01
SWEEP_S = 0.1
POLL_MS = 200
START_MS = 20_000
CLOSE_S = 5


class Row(StrEnum):
    """What a load counts: from the moment a request is due to its acknowledgement, and to its first answer."""

    PRODUCE = "PRODUCE"
    PREDICT = "PREDICT"


Report = Callable[[Row, float, int, BaseException | None], None]  # milliseconds, bytes of the record, what went wrong


class Wire:
    """
    Sends ``rate()`` requests a second and reports each twice: PRODUCE, and PREDICT for its answer or its want of one.

    A request without an answer for ``deadline()`` seconds is one that failed. Its keys begin with a name that no other
    process has, so that any number of them share the topics.
    """

    def __init__(
        self,
        access: KafkaAccess,
        names: StackNames,
        values: Sequence[bytes],
        rate: Callable[[], int],
        deadline: Callable[[], float],
        report: Report,
    ) -> None:
        """Connects, and fixes where the reading begins; raises Unavailable."""
        self.names, self.rate, self.deadline, self.report = names, rate, deadline, report
        self.name = f"load-{secrets.token_hex(6)}"
        self.under_way = UnderWay()
        self.worst_late_s = 0.0
        self.begin_anew()
        self._ended = threading.Event()
        self._values = itertools.cycle(values)
        self._numbers = itertools.count()
        try:
            self._connect(access)
        except KafkaError as error:
            raise Unavailable(f"Kafka must answer at {access.brokers}; got {error}; is the stack up?") from error
        self._threads = [
            threading.Thread(target=part, daemon=True) for part in (self._send_on_schedule, self._read, self._sweep)
        ]

    def _connect(self, access: KafkaAccess) -> None:
        told = {**access.python(), "bootstrap_timeout_ms": START_MS}
        self._producer = KafkaProducer(**told)
        self._consumer = KafkaConsumer(**told, group_id=None, enable_auto_commit=False)
        there = self._consumer.topics()  # of all: to ask for one may make it
        for topic in self.names.pair:
            if topic not in there:
                raise Unavailable(f"Kafka at {access.brokers} must have the topic {topic}; got none; is the stack up?")
        self._producer.partitions_for(self.names.requests)  # so that no send waits for them
        partitions = self._consumer.partitions_for_topic(self.names.answers)
        places = [TopicPartition(self.names.answers, number) for number in partitions]
        self._consumer.assign(places)
        self._consumer.seek_to_end()
        for place in places:
            self._consumer.position(place)  # asks for the end now, and not when first polled

    def begin_anew(self) -> None:
        """Nothing was due yet: a page can start several loads, one after another."""
        self._schedule = LoadSchedule(time.perf_counter())

    @property
    def tally(self) -> LoadTally:
        """What was due and what was sent since."""
        return self._schedule.tally

    def start(self) -> None:
        """Begin to send and to read."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End it; what is under way is judged no more."""
        self._ended.set()
        for thread in self._threads:
            thread.join(CLOSE_S)
        self._producer.close(timeout=CLOSE_S)
        self._consumer.close()

    def _send_on_schedule(self) -> None:
        while not self._ended.is_set():
            now = time.perf_counter()
            due = self._schedule.take(now, self.rate())
            if due is not None:
                self.worst_late_s = max(self.worst_late_s, now - due)
                self._send(due)
            pause(self._schedule.pause(now, IDLE_S))

    def _send(self, due: float) -> None:
        key = f"{self.name}-{next(self._numbers)}".encode()
        self.under_way.add(key, due)
        sent = self._producer.send(self.names.requests, next(self._values), key)
        sent.add_callback(self._acknowledged, due).add_errback(self._refused, due)

    def _acknowledged(self, due: float, record: Any) -> None:
        self.report(Row.PRODUCE, _ms_since(due), record.serialized_value_size, None)

    def _refused(self, due: float, error: BaseException) -> None:
        self.report(Row.PRODUCE, _ms_since(due), 0, error)

    def _read(self) -> None:
        while not self._ended.is_set():
            for records in self._consumer.poll(timeout_ms=POLL_MS).values():
                now = time.perf_counter()
                for record in records:
                    waited = self.under_way.answered(record.key, now)
                    if waited is not None:
                        self.report(Row.PREDICT, waited * 1000, len(record.value or b""), None)

    def _sweep(self) -> None:
        while not self._ended.wait(SWEEP_S):
            deadline = self.deadline()
            for waited in self.under_way.overdue(time.perf_counter(), deadline):
                self.report(Row.PREDICT, waited * 1000, 0, TimeoutError(f"no answer within {deadline:g} s"))


def _ms_since(moment: float) -> float:
    return (time.perf_counter() - moment) * 1000
