"""
The reading process: both topics from their ends on, each record with the moment it was seen.

The requests are read too: one that stands there twice was sent twice by the client, and that is not the server's doing;
one that stands there is owed an answer, whether or not the client came to know of it. Answers that a server took back
(an aborted transaction) are no answers: only what is committed is read.
"""

import json
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import asdict
from pathlib import Path
from queue import SimpleQueue
from typing import TextIO

from confluent_kafka import KafkaError, KafkaException, Message, TopicPartition
from confluent_kafka.admin import AdminClient

from apps.common import starter
from apps.common.errors import BatonError, Unavailable
from apps.common.partitions import ANSWER_S
from apps.common.waiting import wait_until
from loadtest.prover.history import TopicRecord
from loadtest.prover.plan import ANSWERS, REQUESTS, Plan
from loadtest.recorder import answer_in, arriving, positioned, sound

BEGUN = {"others": 0}  # the first line of the answers' journal: from here on nothing is missed
END_S = 20
PARTITIONS_S = 2  # between two looks for new partitions
TOLD = 80  # characters of a key that is nobody's here


class PairRecorder:
    """Writes what arrives of the two topics to two journals."""

    def __init__(self, plan: Plan, requests: TextIO, answers: TextIO) -> None:
        """Nothing was read yet."""
        self._plan = plan
        self._requests = requests
        self._answers = answers
        self._others = 0

    def keep(self, messages: Iterable[tuple[Message, float]]) -> None:
        """Write each record that is of this proof, or an answer with our headers; count the other answers."""
        for message, seen_at in sound(messages):
            if message.topic() == self._plan.requests:
                if record := self._own(message, seen_at):
                    _write(self._requests, asdict(record))
            else:
                self._keep_answer(message, seen_at)
        self._requests.flush()
        self._answers.flush()

    def _keep_answer(self, message: Message, seen_at: float) -> None:
        record = answer_in(message, seen_at) or self._own(message, seen_at)
        if record is None:
            self._others += 1
            key = message.key()
            told = None if key is None else key.decode(errors="replace")[:TOLD]
            _write(self._answers, {"others": self._others, "last_key": told})
        else:
            _write(self._answers, asdict(record))

    def _own(self, message: Message, seen_at: float) -> TopicRecord | None:
        key = (message.key() or b"").decode(errors="replace")
        own = key.startswith(f"{self._plan.run}-")
        return TopicRecord(key, message.partition() or 0, message.offset() or 0, seen_at) if own else None


class PairReader:
    """
    The two topics from their ends on, and how far each partition was read.

    The client tells of the end of a partition, because there a transaction's marks may stand, which are no records.
    """

    def __init__(self, plan: Plan, name: str) -> None:
        """Fix the ends; raises Unavailable."""
        topics = [plan.requests, plan.answers]
        try:
            self._consumer = positioned(plan.access, f"{plan.run}.{name}", topics, committed=True)
        except KafkaException as error:
            raise Unavailable(f"the topics must be there to be read; got {error}") from error
        self._read = {(place.topic, place.partition): place.offset for place in self._consumer.assignment()}
        self._silent = set(self._read)

    def arriving(self) -> Iterator[tuple[Message, float]]:
        """What is there now; waits for the first one, but not for long."""
        for message, seen_at in arriving(self._consumer):
            error = message.error()
            if error is None or error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - so it is called
                place = message.topic() or "", message.partition() or 0
                self._read[place] = (message.offset() or 0) + (error is None)
                self._silent.discard(place)
            yield message, seen_at

    def require_readable(self) -> None:
        """Return once something was read of each partition, be it its end; raises BatonError."""

        def read() -> bool:
            for _ in sound(self.arriving()):
                pass
            return not self._silent

        wait_until(read, ANSWER_S, lambda: f"nothing can be read of {_named(self._silent)}", every=0)

    def read_to_the_end(self, keep: Callable[[Iterable[tuple[Message, float]]], None]) -> None:
        """Give ``keep`` all that stands in the topics now; raises BatonError when that cannot be done in time."""
        ends = wait_until(self._ends, END_S, "Kafka does not say where its topics end")

        def unread() -> list[tuple[str, int]]:
            return [place for place, end in ends.items() if self._read[place] < end]

        def read() -> bool:
            keep(self.arriving())
            return not unread()

        wait_until(read, END_S, lambda: f"not read to the end: {_named(unread())}", every=0)

    def _ends(self) -> dict[tuple[str, int], int]:
        with suppress(KafkaException):  # a broker may be away for a while
            return {
                place: self._consumer.get_watermark_offsets(TopicPartition(*place), ANSWER_S)[1] for place in self._read
            }
        return {}

    @property
    def places(self) -> list[tuple[str, int]]:
        """The partitions that it reads: topic and number."""
        return list(self._read)

    def begin(self, places: Iterable[tuple[str, int]]) -> None:
        """Read these partitions, too, from their beginning: they are new."""
        for place in places:
            self._read[place] = 0
            self._consumer.incremental_assign([TopicPartition(*place, 0)])

    def close(self) -> None:
        """Read no more."""
        self._consumer.close()


class AddedPartitions:
    """
    Which partitions were added to the two topics since it was last asked; a client of its own asks, now and then.

    A server that learns of them before the reader does would seem to lose what it answers there.
    """

    def __init__(self, plan: Plan, known: Iterable[tuple[str, int]]) -> None:
        """What is ``known``, a topic and a number each, is not new."""
        self._client = AdminClient(dict(plan.access.librdkafka()))
        self._topics = plan.requests, plan.answers
        self._known = set(known)
        self._found: SimpleQueue[tuple[str, int]] = SimpleQueue()
        self._lock = threading.Lock()

    def look(self) -> None:
        """Ask Kafka; one that does not answer is asked the next time."""
        with self._lock, suppress(KafkaException):
            there = self._client.list_topics(timeout=ANSWER_S).topics
            places = {(topic, one) for topic in self._topics if topic in there for one in there[topic].partitions}
            for place in sorted(places - self._known):
                self._found.put(place)
            self._known |= places

    def watch(self, ending: threading.Event) -> None:
        """Ask again and again, in a thread: what reads is not to wait for it."""

        def ask() -> None:
            while not ending.wait(PARTITIONS_S):
                self.look()

        threading.Thread(target=ask, daemon=True).start()

    def new(self) -> list[tuple[str, int]]:
        """Those that nobody was told of yet."""
        return [self._found.get() for _ in range(self._found.qsize())]


def _named(places: Iterable[tuple[str, int]]) -> str:
    return ", ".join(f"{topic}-{partition}" for topic, partition in sorted(places))


def _write(file: TextIO, line: Mapping[str, object]) -> None:
    file.write(json.dumps(line) + "\n")


def main(place: str) -> None:
    """Read; ``place`` is the proof's folder."""
    folder = Path(place)
    plan = Plan.read(folder)
    ending = threading.Event()
    starter.when_gone(ending.set)
    with ExitStack() as files:
        requests, answers = (
            files.enter_context((folder / name).open("a", encoding="utf-8")) for name in (REQUESTS, ANSWERS)
        )
        reader = PairReader(plan, "reader")
        _write(answers, BEGUN)
        answers.flush()
        recorder = PairRecorder(plan, requests, answers)
        added = AddedPartitions(plan, reader.places)
        added.watch(ending)
        while not ending.is_set():
            reader.begin(added.new())
            recorder.keep(reader.arriving())
        added.look()
        reader.begin(added.new())
        reader.read_to_the_end(recorder.keep)
        reader.close()


if __name__ == "__main__":
    try:
        main(sys.argv[1])
    except BatonError as error:
        sys.exit(str(error))
