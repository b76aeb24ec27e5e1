"""
The reading process: both topics from their ends on, each record with the moment it was seen.

The requests are read too: one that stands there twice was sent twice by the client, and that is not the server's doing;
one that stands there is owed an answer, whether or not the client came to know of it. Answers that a server took back
(an aborted transaction) are no answers: only what is committed is read.
"""

import json
import sys
import threading
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import TextIO

from confluent_kafka import KafkaException, Message

from apps.common import starter
from apps.common.errors import BatonError, Unavailable
from loadtest.prover.history import TopicRecord
from loadtest.prover.plan import ANSWERS, REQUESTS, Plan
from loadtest.recorder import answer_in, arriving, positioned, sound

BEGUN = {"others": 0}  # the first line of the answers' journal: from here on nothing is missed
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


def _write(file: TextIO, line: Mapping[str, object]) -> None:
    file.write(json.dumps(line) + "\n")


def main(place: str) -> None:
    """Read; ``place`` is the proof's folder."""
    folder = Path(place)
    plan = Plan.read(folder)
    ending = threading.Event()
    starter.when_gone(ending.set)
    with ExitStack() as files:
        requests, answers = (files.enter_context((folder / name).open("a", encoding="utf-8")) for name in (REQUESTS, ANSWERS))
        try:
            consumer = positioned(plan.access, f"{plan.run}.reader", [plan.requests, plan.answers], committed=True)
        except KafkaException as error:
            raise Unavailable(f"the topics must be there to be read; got {error}") from error
        _write(answers, BEGUN)
        answers.flush()
        recorder = PairRecorder(plan, requests, answers)
        while not ending.is_set():
            recorder.keep(arriving(consumer))
        recorder.keep(arriving(consumer))
        consumer.close()


if __name__ == "__main__":
    try:
        main(sys.argv[1])
    except BatonError as error:
        sys.exit(str(error))
