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
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TextIO

from confluent_kafka import KafkaException

from apps.common import starter
from apps.common.errors import Unavailable
from apps.common.messages import Answer
from apps.common.settings import Settings, load
from apps.common.waiting import wait_until
from loadtest.recorder import Recorder, arriving

ROOT = Path(__file__).parent.parent
START_S = 30
STOP_S = 10


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
        starter.let_end(process, STOP_S)
        self._catch_up()
        if self._lines:
            self._lines.close()
            self._lines = None
        if self._temporary:
            self._temporary.cleanup()


def _main(journal: str, origin: str = "end") -> None:
    settings = load(Settings)
    starter_is_gone = threading.Event()
    starter.when_gone(starter_is_gone.set)
    with Path(journal).open("a") as out:
        group = f"{settings.stack}.answer-reader"
        recorder = Recorder(settings.kafka_access, settings.names.answers, group, out)
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
