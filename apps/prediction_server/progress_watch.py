"""The thread beside the stream that looks at the topics each second, and ends a server that is of no use."""

import threading
import time
from collections.abc import Callable, Mapping

from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition
from kafka.errors import KafkaError
from structlog.stdlib import BoundLogger

from apps.common.messages import Writer, decode_answer
from apps.common.ready_file import BEAT_S, heartbeat
from apps.common.waiting import pause
from apps.prediction_server.answers_tail import committed_reader, records_between
from apps.prediction_server.progress_rules import Look, ProgressRules
from apps.prediction_server.settings import ServerSettings

DEADLINE_S = 3  # a broker that takes longer counts as away
TAIL = 64  # answers of a partition that each look reads


class ProgressWatch:
    """Looks from outside: over connections of its own, at what the server leaves in the topics."""

    def __init__(
        self,
        settings: ServerSettings,
        writer: Writer,
        offsets: Mapping[int, int],
        log: BoundLogger,
        leave: Callable[[], None],
    ) -> None:
        """``offsets`` is where the server began; ``leave`` ends its process."""
        self.access = settings.kafka_access
        self.names = settings.names
        self.heartbeat = heartbeat(settings.ready_file)
        self.offsets = offsets
        self.log = log
        self.leave = leave
        self.rules = ProgressRules(
            writer.release, writer.topic_id, len(offsets), settings.stall_s, self._owed, time.monotonic()
        )
        self._consumer: KafkaConsumer | None = None
        self._admin: KafkaAdminClient | None = None

    def start(self) -> None:
        """Watch until the process ends."""
        threading.Thread(target=self._run, name="progress-watch", daemon=True).start()

    def _run(self) -> None:
        while True:
            try:
                look = self.look()
                if text := self.rules.unequal(look):
                    self.log.error("topics differ", reason=text)
                if reason := self.rules.reason_to_end(look):
                    self.log.error("this server ends, to be started anew", reason=reason)
                    self.leave()
            except (KafkaError, OSError) as error:
                self.log.warning("the broker does not answer the watch", reason=str(error))
                self.rules.broker_away(time.monotonic())
                self._close()
            except Exception:
                self.log.exception("the watch failed")
                self.leave()
            self.heartbeat.touch()
            pause(BEAT_S)

    def look(self) -> Look:
        """What the topics show now; raises KafkaError or OSError when the broker does not say."""
        requests, answers = self.names.requests, self.names.answers
        topics = {topic["name"]: topic for topic in self._client().describe_topics([requests, answers])}
        consumer, until = self._reader(), time.monotonic() + DEADLINE_S
        answered = [TopicPartition(answers, partition) for partition in self.offsets]
        begins, tops = consumer.beginning_offsets(answered), consumer.end_offsets(answered)
        tails = {
            place.partition: _newest(consumer, place, max(begins[place], tops[place] - TAIL), tops[place], until)
            for place in answered
        }
        # After the answers: what is answered meanwhile must not look as if it waited.
        places = [TopicPartition(requests, partition) for partition in self.offsets]
        ends = {place.partition: end for place, end in consumer.end_offsets(places).items()}
        return Look(
            at=time.monotonic(),
            topic_id=str(topics[requests]["topic_id"]),
            requests=len(topics[requests]["partitions"]),
            answers=len(topics[answers]["partitions"]),
            ends=ends,
            answered={
                partition: max([self.offsets[partition], *(o + 1 for o, _ in tail if o < ends[partition])])
                for partition, tail in tails.items()
            },
            newest=max((release for tail in tails.values() for _, release in tail), default=0),
        )

    def _owed(self, partition: int, first: int, end: int) -> bool:
        consumer, until = self._reader(), time.monotonic() + DEADLINE_S
        last = min(end, first + TAIL)
        return bool(records_between(consumer, TopicPartition(self.names.requests, partition), first, last, until))

    def _reader(self) -> KafkaConsumer:
        if self._consumer is None:
            self._consumer = committed_reader(self.access, 1000 * DEADLINE_S)
        return self._consumer

    def _client(self) -> KafkaAdminClient:
        if self._admin is None:
            deadlines = dict.fromkeys(("bootstrap_timeout_ms", "request_timeout_ms"), 1000 * DEADLINE_S)
            self._admin = KafkaAdminClient(**self.access.python(), **deadlines)
        return self._admin

    def _close(self) -> None:
        for client in (self._consumer, self._admin):
            if client is not None:
                client.close()
        self._consumer = self._admin = None


def _newest(
    consumer: KafkaConsumer, place: TopicPartition, first: int, end: int, until: float
) -> list[tuple[int, int]]:
    """(offset of the request, release) of each answer of ours between two offsets of an answers partition."""
    records = records_between(consumer, place, first, end, until)
    decoded = [decode_answer(record.key, record.value, record.headers, 0.0) for record in records]
    return [
        (answer.in_offset, answer.release) for answer in decoded if answer and answer.in_partition == place.partition
    ]
