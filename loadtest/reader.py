"""
Keeps every answer as it arrives, with the moment it was seen.

A process of its own does the reading (``python -m loadtest.reader``): whatever the measuring program computes, prints
or waits for must not delay the clock. It appends to a journal file, so a slow program never holds it back either, and
it ends when its standard input closes, so it never outlives the program that started it.
"""

import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, TextIO

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from apps.common import starter
from apps.common.errors import Unavailable
from apps.common.kafka_access import KafkaAccess
from apps.common.messages import Answer, decode_answer
from apps.common.settings import Settings, load
from apps.common.waiting import wait_until

ROOT = Path(__file__).parent.parent
START_S = 30
STOP_S = 10
IDLE_S = 0.2
ANSWER_S = 10
AT_ONCE = 500  # records before the journal is written
READING = {
    "enable.auto.commit": False,
    "auto.offset.reset": "error",
    "isolation.level": "read_uncommitted",
    "fetch.error.backoff.ms": 50,
    "reconnect.backoff.max.ms": 500,
}


class AnswerReader:
    """Every answer from the moment ``start`` returns (or from the beginning), in the order it was read."""

    def __init__(
        self, environment: Mapping[str, str], journal: Path | None = None, *, from_beginning: bool = False
    ) -> None:
        """``environment`` is an app's; ``journal`` keeps answers as JSON lines, else a file does that is removed."""
        self.environment = dict(environment)
        self.from_beginning = from_beginning
        self._temporary = None if journal else tempfile.TemporaryDirectory(prefix="baton-answers-")
        self._journal = journal or Path(self._temporary.name if self._temporary else "") / "answers.jsonl"
        self._log = self._journal.with_suffix(".log")
        self._process: subprocess.Popen[bytes] | None = None
        self._lines: TextIO | None = None
        self._rest = ""
        self._answers: list[Answer] = []
        self._ignored = 0
        self._ready = False

    def start(self) -> None:
        """Return once every partition is positioned: an answer written from now on will be seen."""
        self._journal.write_text("")
        self._lines = self._journal.open()
        command = [sys.executable, "-m", "loadtest.reader", str(self._journal)]
        command += ["beginning"] if self.from_beginning else []
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=self.environment,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            wait_until(self._positioned, START_S, lambda: f"the answer reader is not ready; {self._tail()}", every=0.02)
        except BaseException:
            self.stop()
            raise

    def _positioned(self) -> bool:
        self._catch_up()
        return self._ready

    def _tail(self) -> str:
        return self._log.read_text(errors="replace").strip()[-1500:]

    def _catch_up(self) -> None:
        if self._lines is None:
            return
        *whole, self._rest = (self._rest + self._lines.read()).split("\n")
        for line in whole:
            record = json.loads(line)
            if "ignored" in record:
                self._ignored = record["ignored"]
            elif "positions" in record:
                self._ready = True
            else:
                self._answers.append(Answer(**record))
        if self._process and self._process.poll() not in (None, 0):
            raise Unavailable(f"the answer reader must run; it ended:\n{self._tail()}")

    def answers(self, since: int = 0) -> list[Answer]:
        """Every answer read so far but for the first ``since``, repeats and other runs' too."""
        self._catch_up()
        return self._answers[since:]

    @property
    def ignored(self) -> int:
        """How many records of the topic no server of ours wrote."""
        self._catch_up()
        return self._ignored

    def wait_for(self, request_ids: Collection[str], deadline: float) -> None:
        """Wait until each of ``request_ids`` has an answer; raise DeadlineMissed that says how many have none."""
        owed, seen = set(request_ids), 0

        def all_answered() -> bool:
            nonlocal seen
            new = self.answers(seen)
            seen += len(new)
            owed.difference_update(answer.request_id for answer in new)
            return not owed

        wait_until(all_answered, deadline, lambda: f"{len(owed)} of {len(request_ids)} requests have no answer")

    def stop(self) -> None:
        """End the reading; what was read stays readable."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.stdin:
            process.stdin.close()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        self._catch_up()
        if self._lines:
            self._lines.close()
            self._lines = None
        if self._temporary:
            self._temporary.cleanup()


class Recorder:
    """The reading process: a consumer of every partition, and the journal."""

    def __init__(self, settings: Settings, out: TextIO) -> None:
        """``out`` is the journal; nothing is connected yet."""
        self.topic = settings.names.answers
        self.access = settings.kafka_access
        self.group = f"{settings.stack}.answer-reader"  # the client wants one; none is joined, nothing committed
        self.out = out
        self.ignored = 0

    def begin(self, *, from_beginning: bool) -> Consumer:
        """Fix the first offset of each partition; raises KafkaException."""
        consumer = positioned(self.access, self.group, self.topic, from_beginning=from_beginning)
        self._write([{"positions": {place.partition: place.offset for place in consumer.assignment()}}])
        return consumer

    def keep(self, messages: Iterable[tuple[Message, float]]) -> None:
        """Write each record, and the moment it was seen, to the journal; raises Unavailable when some are gone."""
        lines: list[dict[str, Any]] = []
        for message, seen_at in messages:
            if error := message.error():
                if error.code() == KafkaError._AUTO_OFFSET_RESET:  # noqa: SLF001 - so it is called
                    place = f"{message.topic()}-{message.partition()}"
                    raise Unavailable(f"the answers in {place} must be there to be read; got {error.str()}")
                print(f"the broker is away, or says: {error.str()}", file=sys.stderr, flush=True)
                continue
            headers: Any = message.headers()
            answer = decode_answer(message.key(), message.value(), headers or [], seen_at)
            self.ignored += answer is None
            if answer is None:
                lines.append({"ignored": self.ignored})
            else:
                lines.append(asdict(replace(answer, partition=message.partition())))
        self._write(lines)

    def _write(self, lines: Iterable[dict[str, Any]]) -> None:
        self.out.write("".join(json.dumps(line) + "\n" for line in lines))
        self.out.flush()


def positioned(access: KafkaAccess, group: str, topic: str, *, from_beginning: bool = False) -> Consumer:
    """A consumer of every partition, from its end or its beginning; raises KafkaException."""
    consumer = Consumer({**access.librdkafka(), **READING, "group.id": group})
    described = consumer.list_topics(topic, ANSWER_S).topics[topic]
    if described.error:
        raise KafkaException(described.error)
    places = [TopicPartition(topic, partition) for partition in described.partitions]
    for place in places:
        earliest, latest = consumer.get_watermark_offsets(place, ANSWER_S)
        place.offset = earliest if from_beginning else latest
    consumer.assign(places)
    return consumer


def arriving(consumer: Consumer) -> Iterator[tuple[Message, float]]:
    """What is there now, and the moment each was seen; waits for the first one, but not for long."""
    wait = IDLE_S
    for _ in range(AT_ONCE):
        message = consumer.poll(wait)
        if message is None:
            return
        yield message, time.time()
        wait = 0


def _main(journal: str, origin: str = "end") -> None:
    settings = load(Settings)
    starter_is_gone = threading.Event()
    starter.when_gone(starter_is_gone.set)
    with Path(journal).open("a") as out:
        recorder = Recorder(settings, out)
        try:
            consumer = recorder.begin(from_beginning=origin == "beginning")
        except KafkaException as error:
            got = f"{error}; is the stack up?"
            sys.exit(f"Kafka must answer at {settings.kafka} and have the topic {recorder.topic}; got {got}")
        try:
            while not starter_is_gone.is_set():
                recorder.keep(arriving(consumer))
        except Unavailable as error:
            sys.exit(str(error))
        finally:
            consumer.close()


if __name__ == "__main__":
    _main(*sys.argv[1:])
