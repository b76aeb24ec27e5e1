"""The thread beside the stream that looks at the topics each second, and ends a server that is of no use."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence

from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition
from kafka.errors import KafkaError
from structlog.stdlib import BoundLogger

from apps.common.messages import Answer, Writer, decode_answer
from apps.common.ready_file import BEAT_S, heartbeat
from apps.common.waiting import pause
from apps.prediction_server.answers_tail import any_between, committed_reader, records_between
from apps.prediction_server.progress_rules import Look, ProgressRules
from apps.prediction_server.settings import ServerSettings

DEADLINE_S = 3  # a broker that takes longer counts as away
TAIL = 64  # answers of a partition that each look reads

Ends = Mapping[int, int]  # partition -> offset
TailRecord = tuple[int, Answer]  # where an answer stands in its topic, and the answer


class ProgressWatch:
    """Looks from outside: over connections of its own, at what the server leaves in the topics."""

    def __init__(
        self,
        settings: ServerSettings,
        writer: Writer,
        offsets: Mapping[int, int],
        log: BoundLogger,
        rules: Callable[..., ProgressRules] = ProgressRules,
    ) -> None:
        """``offsets`` is where the server began; ``rules`` are made by, and those of a server unless others are."""
        self.access = settings.kafka_access
        self.names = settings.names
        self.heartbeat = heartbeat(settings.ready_file)
        self.offsets = offsets
        self.log = log
        self.rules = rules(
            release=writer.release,
            topic_id=writer.topic_id,
            partitions=len(offsets),
            stall_s=settings.stall_s,
            owed=self._owed,
            began=time.monotonic(),
        )
        self.process = writer.process
        self.seen: Look | None = None  # the last look; this and the next two are read by other threads
        self.predictions = self.rejections = 0  # of this process, among the answers that were read
        self._was_away = False
        self._answers_id = ""  # of their topic, at the look before
        # By partition, as the next four: this process' answer to the last request.
        self._highest: dict[int, Answer] = {}
        self._newest: dict[int, TailRecord] = {}  # the last one of this process, with where it stands
        self._answered: dict[int, int] = {}
        self._anybody: dict[int, int] = {}
        self._read: dict[int, int] = {}  # the end of the answers at the look before
        self._ends: Ends = {}  # that of the requests
        self._consumer: KafkaConsumer | None = None
        self._admin: KafkaAdminClient | None = None

    def start(self, leave: Callable[[], object]) -> None:
        """Watch until the process ends; ``leave`` ends it."""
        threading.Thread(target=self._run, args=(leave,), name="progress-watch", daemon=True).start()

    def _run(self, leave: Callable[[], object]) -> None:
        while True:
            try:
                look = self.look()
                if text := self.rules.unequal(look):
                    self.log.error("topics differ", reason=text)
                if reason := self.rules.reason_to_end(look):
                    self.log.error("this server ends, to be started anew", reason=reason)
                    leave()
            except (KafkaError, OSError) as error:
                self.log.warning("the broker does not answer the watch", reason=str(error))
                self.broker_away()
            except Exception:
                self.log.exception("the watch failed")
                leave()
            self.heartbeat.touch()
            pause(BEAT_S)

    def broker_away(self) -> None:
        """Forget what its absence makes void, and the connections."""
        self.rules.broker_away(time.monotonic())
        self._was_away = True
        self.close()

    def ends(self) -> tuple[Ends, Ends]:
        """The offsets behind the last request and behind the last answer; raises as ``look`` does, and costs less."""
        consumer = self._reader()

        def of(topic: str) -> Ends:
            found = consumer.end_offsets([TopicPartition(topic, partition) for partition in self.offsets])
            return {place.partition: end for place, end in found.items()}

        answers = of(self.names.answers)  # first, as in ``look``
        return of(self.names.requests), answers

    def look(self) -> Look:
        """What the topics show now; raises KafkaError or OSError when the broker does not say."""
        requests, answers = self.names.pair
        topics = {topic["name"]: topic for topic in self._client().describe_topics([requests, answers])}
        consumer, until = self._reader(), time.monotonic() + DEADLINE_S
        places = [TopicPartition(answers, partition) for partition in self.offsets]
        begins, tops = consumer.beginning_offsets(places), consumer.end_offsets(places)
        gone = {place.partition for place in places if self._gone(place, begins[place], tops[place], until)}
        if (answers_id := str(topics[answers]["topic_id"])) != (self._answers_id or answers_id):
            gone = set(self.offsets)
        self._answers_id = answers_id
        tails = {place.partition: self._tail(consumer, place, begins[place], tops[place], until) for place in places}
        # After the answers: what is answered meanwhile must not look as if it waited.
        asked = [TopicPartition(requests, partition) for partition in self.offsets]
        earliest, ends = consumer.beginning_offsets(asked), consumer.end_offsets(asked)
        lost = {place.partition for place in asked if self._lost(place, tails[place.partition], earliest, ends, until)}
        self._was_away = False
        upto = {place.partition: ends[place] for place in asked}
        own = {p: [one for one in tail if one[1].process == self.process] for p, tail in tails.items()}
        self._newest |= {partition: max(some, key=lambda one: one[0]) for partition, some in own.items() if some}
        new = [
            answer
            for place in places
            for at, answer in tails[place.partition]
            if at >= self._read.get(place.partition, tops[place])
        ]
        fresh = [
            answer for answer in new if answer.in_offset >= self._ends.get(answer.in_partition, answer.in_offset + 1)
        ]
        self._read, self._ends = {place.partition: tops[place] for place in places}, upto
        mine = [answer.rejection is not None for answer in new if answer.process == self.process]
        self.predictions, self.rejections = self.predictions + mine.count(False), self.rejections + mine.count(True)
        self.seen = Look(
            at=time.monotonic(),
            topic_id=str(topics[requests]["topic_id"]),
            requests=len(topics[requests]["partitions"]),
            answers=len(topics[answers]["partitions"]),
            ends=upto,
            answered={p: self._highest_of(self._answered, own[p], p, end) for p, end in upto.items()},
            anybody={p: self._highest_of(self._anybody, tails[p], p, end) for p, end in upto.items()},
            newest=max((answer.release for answer in new), default=0),
            others={one.process: one.release for one in fresh if one.process and one.process != self.process},
            lost=tuple(sorted(lost | gone)),
        )
        return self.seen

    def _tail(
        self, consumer: KafkaConsumer, place: TopicPartition, begin: int, top: int, until: float
    ) -> list[TailRecord]:
        """The last answers of a partition; all since the look before when this process' own are not among them."""
        first = max(begin, top - TAIL)
        tail = _newest(consumer, place, first, top, until)
        before = max(begin, self._read.get(place.partition, first))
        if (
            before < first
            and place.partition in self._highest
            and all(answer.process != self.process for _, answer in tail)
        ):
            tail = [*_newest(consumer, place, before, first, until), *tail]
        return tail

    def _gone(self, place: TopicPartition, begin: int, top: int, until: float) -> bool:
        """Whether the answers lost their end: the last one of this process does not stand where it stood."""
        at, answer = self._newest.get(place.partition, (-1, None))
        if at < begin or (at < top and not self._was_away):
            return False
        return at >= top or (at, answer) not in _newest(self._reader(), place, at, at + 1, until)

    def _lost(
        self,
        place: TopicPartition,
        tail: Sequence[TailRecord],
        earliest: Mapping[TopicPartition, int],
        ends: Mapping[TopicPartition, int],
        until: float,
    ) -> bool:
        """
        Whether the log of a broker that was away lost its end: what this process answered does not stand there now.

        Its stream may go on at offsets that are used again, and would pass over what stands before them.
        """
        own = {answer.in_offset: answer for _, answer in tail if answer.process == self.process}
        if known := self._highest.get(place.partition):
            own.setdefault(known.in_offset, known)
        if own:
            self._highest[place.partition] = own[max(own)]
        if not self._was_away or not own:
            return False
        there = [offset for offset in own if offset >= earliest[place]]
        first, end = min(there, default=0), max(there, default=-1) + 1
        records = records_between(self._reader(), place, first, min(end, ends[place]), until) if there else []
        standing = {record.offset: record.timestamp for record in records}
        return any(standing.get(offset) != own[offset].in_timestamp for offset in there)

    def _highest_of(self, known: dict[int, int], tail: Sequence[TailRecord], partition: int, end: int) -> int:
        """The offset behind the highest answer, as far as any look has seen; repeats of lower ones change nothing."""
        before = min(known.get(partition, self.offsets[partition]), end)
        seen = (answer.in_offset + 1 for _, answer in tail if answer.in_offset < end)
        known[partition] = max(before, *seen, before)
        return known[partition]

    def _owed(self, partition: int, first: int, end: int) -> bool:
        place, until = TopicPartition(self.names.requests, partition), time.monotonic() + DEADLINE_S
        return any_between(self._reader(), place, first, end, until)

    def _reader(self) -> KafkaConsumer:
        if self._consumer is None:
            self._consumer = committed_reader(self.access, 1000 * DEADLINE_S)
        return self._consumer

    def _client(self) -> KafkaAdminClient:
        if self._admin is None:
            deadlines = dict.fromkeys(("bootstrap_timeout_ms", "request_timeout_ms"), 1000 * DEADLINE_S)
            self._admin = KafkaAdminClient(**self.access.python(), **deadlines)
        return self._admin

    def close(self) -> None:
        """Leave Kafka; the next question connects anew."""
        for client in (self._consumer, self._admin):
            if client is not None:
                client.close()
        self._consumer = self._admin = None


def _newest(consumer: KafkaConsumer, place: TopicPartition, first: int, end: int, until: float) -> list[TailRecord]:
    """The answers of ours between two offsets of an answers partition, each with its own offset there."""
    records = records_between(consumer, place, first, end, until)
    decoded = [(record.offset, decode_answer(record.key, record.value, record.headers, 0.0)) for record in records]
    return [(offset, answer) for offset, answer in decoded if answer and answer.in_partition == place.partition]
