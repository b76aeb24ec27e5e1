"""The last proof before a server is ready: requests through Kafka that its own process answers, rightly and soon."""

import json
import time
from collections.abc import Callable, Sequence

from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from structlog.stdlib import BoundLogger

from apps.common.errors import BatonError, ModelRefused
from apps.common.kafka_access import KafkaAccess
from apps.common.messages import PROBE_PREFIX, Answer, Position, Writer, decode_answer
from apps.common.model import Model, same
from apps.common.names import StackNames
from apps.common.waiting import pause, wait_until

POLL_MS = 100
SAY_S = 5

SOON_S = 0.03  # an answer in less is what a server gives that is not behind
RUNNING = 3  # answers one after another that must come so soon
EVERY_S = 0.1
LEVEL_S = 10  # a machine that is too slow for it is no fault of the server


class Probe:
    """
    One golden row asked in each requests partition, and waited for until this very process has answered each.

    Another process of the same release may answer first, and anybody may send a request with a probe's key; neither
    proves or refutes anything.
    """

    def __init__(
        self,
        access: KafkaAccess,
        names: StackNames,
        partitions: Sequence[int],
        model: Model,
        writer: Writer,
        deadline: float,
        failure: Callable[[], str | None],
        log: BoundLogger,
    ) -> None:
        """``failure`` tells why the query ended, None while it runs; for ``deadline`` see ``ask``."""
        self.golden = next((row for row in model.golden if row["rejection"] is None), model.golden[0])
        self.writer = writer
        self.deadline = deadline
        self.failure = failure
        self.log = log
        self.places = [TopicPartition(names.requests, partition) for partition in partitions]
        self._producer = KafkaProducer(**access.python(), allow_auto_create_topics=False)
        self._consumer = KafkaConsumer(
            **access.python(), enable_auto_commit=False, group_id=None, allow_auto_create_topics=False
        )
        tails = [TopicPartition(names.answers, partition) for partition in partitions]
        self._consumer.assign(tails)
        for tail, end in self._consumer.end_offsets(tails).items():
            self._consumer.seek(tail, end)

    def close(self) -> None:
        """Leave Kafka."""
        self._producer.close()
        self._consumer.close()

    def ask(self) -> float:
        """
        Ask once; the seconds from the last acknowledgement to the last answer.

        The probes stand behind every request that waits, and the log says how many. Raises DeadlineMissed when this
        process answered nothing at all for ``deadline`` seconds, ModelRefused when an answer is wrong, BatonError when
        the query ends.
        """
        probes, answered = self._send(), set[Position]()
        asked_at = said_at = time.monotonic()

        def describe() -> str:
            return f"the server must answer its probes {sorted(probes)}; got answers to {sorted(answered)}"

        while answered != probes:
            for answer in wait_until(self._own_answers, self.deadline, describe, every=0):
                if answer.position in probes:
                    self._must_be_right(answer)
                    answered.add(answer.position)
                elif time.monotonic() - said_at > SAY_S:
                    said_at = time.monotonic()
                    to_go = dict(probes)[answer.in_partition] - answer.in_offset
                    self.log.info("catching up", partition=answer.in_partition, requests=to_go)
        return time.monotonic() - asked_at

    def _send(self) -> set[Position]:
        """Send one through each partition; where the broker says that they stand."""
        value = json.dumps(self.golden["fields"]).encode()
        sent = [
            self._producer.send(
                place.topic,
                value,
                key=f"{PROBE_PREFIX}{self.writer.release}-{place.partition}".encode(),
                partition=place.partition,
            )
            for place in self.places
        ]
        return {(record.partition, record.offset) for record in (future.get(self.deadline) for future in sent)}

    def _own_answers(self) -> list[Answer]:
        """The answers of this process that arrived, waited for a moment."""
        if (cause := self.failure()) is not None:
            raise BatonError(f"the query must run while it is probed; it ended: {cause}")
        decoded = [
            decode_answer(record.key, record.value, record.headers, 0.0)
            for records in self._consumer.poll(timeout_ms=POLL_MS).values()
            for record in records
        ]
        return [answer for answer in decoded if answer and answer.process == self.writer.process]

    def _must_be_right(self, answer: Answer) -> None:
        if not same(self.golden, {"prediction": answer.prediction, "rejection": answer.rejection}):
            raise ModelRefused(f"the probe must give {self.golden['prediction']}; got {answer}; train it again")


def wait_until_level(ask: Callable[[], float], log: BoundLogger, at_most: float = LEVEL_S) -> bool:
    """
    Ask again until answers come soon, several times running; whether they did within ``at_most`` seconds.

    A server that has caught up once is still some tenths of a second behind, and its code is cold. To end the release
    before at that moment shows both to whoever waits for an answer.
    """
    began, running, rounds = time.monotonic(), 0, 0
    while running < RUNNING:
        seconds = ask()
        rounds += 1
        running = running + 1 if seconds <= SOON_S else 0
        if running < RUNNING and time.monotonic() - began > at_most:
            log.warning("not level, but ready", answer_ms=round(1000 * seconds), wanted_ms=round(1000 * SOON_S))
            return False
        pause(EVERY_S)
    log.info("level", probes=rounds)
    return True
