"""
Keeps every answer as it arrives, with the moment it was seen.

A process of its own does the reading (``python -m loadtest.reader``): whatever the measuring program computes, prints
or waits for must not delay the clock. It appends to a journal file, so a slow program never holds it back either, and
it ends when its standard input closes, so it never outlives the program that started it.
"""

import json
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection, Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any, TextIO

from kafka.errors import KafkaError, OffsetOutOfRangeError

from apps.common.errors import Unavailable
from apps.common.messages import Answer, decode_answer
from apps.common.waiting import pause, wait_until
from loadtest import kafka_wire

ROOT = Path(__file__).parent.parent
START_S = 30
STOP_S = 10
IDLE_S = 1
RECONNECT_S = 0.05


class AnswerReader:
    """Every answer from the moment ``start`` returns (or from the beginning), in the order it was read."""

    def __init__(self, kafka: str, topic: str, journal: Path | None = None, *, from_beginning: bool = False) -> None:
        """``topic`` is that of the answers; ``journal`` keeps them as JSON lines, else a file does that is removed."""
        self.kafka = kafka
        self.topic = topic
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
        command = [sys.executable, "-m", "loadtest.reader", self.kafka, self.topic, str(self._journal)]
        command += ["beginning"] if self.from_beginning else []
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                command, cwd=ROOT, stdin=subprocess.PIPE, stdout=log, stderr=log, start_new_session=True
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
    """The reading process: the next offset of each partition, a connection to each leader, the journal."""

    def __init__(self, kafka: str, topic: str, out: TextIO) -> None:
        """``topic`` is that of the answers, ``out`` the journal."""
        self.kafka = kafka
        self.topic = topic
        self.out = out
        self.ignored = 0
        self.positions: dict[int, int] = {}
        self.connections: dict[kafka_wire.Connection, list[int]] = {}

    def begin(self, *, from_beginning: bool) -> None:
        """Fix the first offset of each partition."""
        self._connect()
        moment = kafka_wire.EARLIEST if from_beginning else kafka_wire.LATEST
        for connection, partitions in self.connections.items():
            self.positions.update(kafka_wire.offsets(connection, self.topic, partitions, moment))
        self._write([{"positions": self.positions}])

    def _connect(self) -> None:
        for address, partitions in kafka_wire.leaders(self.kafka, self.topic).items():
            self.connections[kafka_wire.Connection(address)] = partitions

    def step(self, also: TextIO | None = None) -> bool:
        """Wait for records and keep them; return whether ``also`` became readable meanwhile."""
        try:
            return self._step(also)
        except OffsetOutOfRangeError as error:
            message = f"the answers from {self.positions} on must be there; the broker has lost or deleted them"
            raise Unavailable(message) from error
        except (OSError, KafkaError) as error:
            print(f"connecting again, to read on from {self.positions}: {error!r}", file=sys.stderr, flush=True)
            for connection in self.connections:
                connection.close()
            self.connections.clear()
            pause(RECONNECT_S)
            return False

    def _step(self, also: TextIO | None) -> bool:
        if not self.connections:
            self._connect()
        for connection, partitions in self.connections.items():
            if connection.idle:
                connection.send(
                    kafka_wire.fetch_request(
                        self.topic, {partition: self.positions[partition] for partition in partitions}
                    )
                )
        sources: list[kafka_wire.Connection | TextIO] = [*self.connections, *([also] if also else [])]
        readable, _, _ = select.select(sources, [], [], IDLE_S)
        for connection in self.connections:
            if connection in readable and (response := connection.receive()):
                self.keep(kafka_wire.fetched(response), time.time())
        return also in readable

    def keep(self, records: Iterable[tuple[int, Any]], seen_at: float) -> None:
        """Write each new record to the journal, and move on behind it."""
        lines: list[dict[str, Any]] = []
        for partition, record in records:
            if record.offset < self.positions[partition]:
                continue  # the head of a compressed batch that was read before
            self.positions[partition] = record.offset + 1
            answer = decode_answer(record.key, record.value, record.headers, seen_at)
            self.ignored += answer is None
            lines.append(asdict(answer) if answer else {"ignored": self.ignored})
        self._write(lines)

    def _write(self, lines: Iterable[dict[str, Any]]) -> None:
        self.out.write("".join(json.dumps(line) + "\n" for line in lines))
        self.out.flush()


def _main(kafka: str, topic: str, journal: str, origin: str = "end") -> None:
    with Path(journal).open("a") as out:
        recorder = Recorder(kafka, topic, out)
        try:
            recorder.begin(from_beginning=origin == "beginning")
        except (OSError, KafkaError) as error:
            sys.exit(f"Kafka must answer at {kafka} and have the topic {topic}; got {error!r}; is the stack up?")
        while not recorder.step(also=sys.stdin):
            pass


if __name__ == "__main__":
    _main(*sys.argv[1:])
