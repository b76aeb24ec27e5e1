"""
Other servers to compare Baton with, on topics like its own: a loop of librdkafka that answers each request.

``pass-through`` answers at once with a constant: what the sender, the broker and the reader cost by themselves.
``one-by-one`` scores with a scikit-learn stack as requests come, ``arrays`` all that is there as one array. A peer is a
process (``python -m loadtest.peer``) and ends when its standard input does. It is no server to rely on: what it has not
answered when it ends is never answered.
"""

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path

from confluent_kafka import KafkaException, Message

from apps import datasets
from apps.common import starter
from apps.common.errors import SettingsError, Unavailable
from apps.common.messages import IN_OFFSET, IN_PARTITION, IN_TIMESTAMP, MODEL_VERSION, RELEASE, UNDECLARED, Writer
from apps.common.request_sender import connect
from apps.common.settings import Settings, load
from apps.common.waiting import wait_until
from loadtest.reader import ROOT
from loadtest.recorder import arriving, positioned

READY = "ready: "  # what stands behind it in the log is the share of the variance that its model explains
START_S = 180  # a training among it
STOP_S = 10
CONSTANT = 20_000.0

Verdicts = list[tuple[float | None, str | None]]  # a prediction or a rejection each
Score = Callable[[Sequence[bytes]], Verdicts]


class Peer(StrEnum):
    """What a peer does with a request."""

    THROUGH = "pass-through"
    ONE_BY_ONE = "one-by-one"
    ARRAYS = "arrays"


@contextmanager
def running(peer: Peer, environment: Mapping[str, str], folder: Path, batches: Sequence[Path] = ()) -> Iterator[str]:
    """
    The peer while the block runs, from the ends of its topics on; it is given what the peer says of its model.

    ``environment`` is an app's with the peer's own stack name, ``batches`` the CSV files that its model learns from.
    """
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / f"{peer}.log"
    command = [sys.executable, "-m", "loadtest.peer", peer, *map(str, batches)]
    with log.open("wb") as out:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=dict(environment),
            stdin=subprocess.PIPE,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )

    def said() -> str:
        text = log.read_text(errors="replace").strip()
        if process.poll() is not None:
            raise Unavailable(f"the peer {peer} must run; it ended:\n{text[-1500:]}")
        return text.rpartition(READY)[2] if READY in text else ""

    try:
        yield wait_until(said, START_S, f"the peer {peer} is not ready; see {log}")
        said()  # one that ended meanwhile has measured nothing
    finally:
        starter.let_end(process, STOP_S)


def pass_through(values: Sequence[bytes]) -> Verdicts:
    """The same answer to whatever is asked."""
    return [(CONSTANT, None)] * len(values)


class PeerLoop:
    """Polls requests and writes answers that look like Baton's, each to the partition of its request."""

    def __init__(self, settings: Settings, score: Score) -> None:
        """Positions the consumer; raises KafkaException when Kafka does not answer."""
        self.names, self.score = settings.names, score
        self.writer = Writer(self.names.model, "1", release=1)
        self.headers = [(name, text.encode()) for name, text in self.writer.headers().items()]
        self.producer = connect(settings.kafka_access, linger_ms=0)
        self.consumer = positioned(settings.kafka_access, f"{settings.stack}.peer", [self.names.requests])

    def turn(self, *, together: bool) -> None:
        """Answer what is there, ``together`` or one by one; waits a little for the first."""
        if together:
            self._answer([message for message, _ in arriving(self.consumer)])
            return
        for message, _ in arriving(self.consumer):
            self._answer([message])

    def close(self) -> None:
        """Leave Kafka; what is on its way is still written."""
        self.producer.flush(STOP_S / 2)
        self.consumer.close()

    def _answer(self, messages: Sequence[Message]) -> None:
        if broken := next((message.error() for message in messages if message.error()), None):
            raise Unavailable(f"requests must be there to be read; got {broken.str()}; is the stack up?")
        verdicts = self.score([message.value() or b"" for message in messages]) if messages else []
        for message, (prediction, rejection) in zip(messages, verdicts, strict=True):
            self._write(message, prediction, rejection)
        self.producer.poll(0)

    def _write(self, message: Message, prediction: float | None, rejection: str | None) -> None:
        key = message.key() or b""
        place = {IN_PARTITION: message.partition(), IN_OFFSET: message.offset(), IN_TIMESTAMP: message.timestamp()[1]}
        body = {
            "request_id": key.decode(errors="replace"),
            "prediction": prediction,
            "rejection": rejection,
            UNDECLARED: 0,
            MODEL_VERSION: self.writer.version,
            RELEASE: self.writer.release,
        }
        self.producer.produce(
            self.names.answers,
            json.dumps(body).encode(),
            key,
            partition=place[IN_PARTITION] or 0,
            headers=[*((name, str(number).encode()) for name, number in place.items()), *self.headers],
        )


def _scikit(dataset: str, batches: Sequence[str]) -> tuple[Score, str]:
    try:
        from loadtest.peer_model import learn  # noqa: PLC0415 - a second to import, which the pass-through need not pay
    except ImportError as error:
        raise SettingsError(f"scikit-learn must be installed; got {error}; pip install scikit-learn") from error
    model, explained = learn(datasets.get(dataset), [Path(batch) for batch in batches])
    return model.score, f"{explained:.4f}"


def _main(kind: str, *batches: str) -> None:
    settings, peer = load(Settings), Peer(kind)
    gone = threading.Event()
    starter.when_gone(gone.set)
    score, told = (pass_through, "no model") if peer is Peer.THROUGH else _scikit(settings.dataset, batches)
    try:
        loop = PeerLoop(settings, score)
    except KafkaException as error:
        topic = settings.names.requests
        sys.exit(f"Kafka must answer at {settings.kafka} and have the topic {topic}; got {error}; is the stack up?")
    print(f"{READY}{told}", flush=True)
    try:
        while not gone.is_set():
            loop.turn(together=peer is Peer.ARRAYS)
    finally:
        loop.close()


if __name__ == "__main__":
    _main(*sys.argv[1:])
