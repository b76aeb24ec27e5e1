"""
The records on the wire, and the two kinds of lines that a checker compares them with, each written and read here.

A request's key is its id and its value a JSON object of raw fields, each as the source file writes it
(numbers may be JSON numbers). An answer's key is the request id; it stands in the output partition with the
number of its input partition. An outcome's key is the request id.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

REQUESTS = "prediction-requests"
ANSWERS = "predictions"
OUTCOMES = "outcomes"

IN_PARTITION = "in_partition"
IN_OFFSET = "in_offset"
MODEL_VERSION = "model_version"
RELEASE = "release"

PROBE_PREFIX = "baton-probe-"  # the key of a request that a starting server sends to itself
MAX_VALUE_BYTES = 64 * 1024  # a longer request is rejected, so that an answer is always small


Position = tuple[int, int]  # where a request stands in its topic: (partition, offset)


@dataclass(frozen=True, slots=True)
class Send:
    """
    One line of the sender's journal; without ``acked_at`` nobody knows whether the request reached the topic.

    ``sent_at`` and ``acked_at`` are the sender's clock in seconds (``time.time``).
    """

    request_id: str
    partition: int | None
    offset: int | None
    sent_at: float
    acked_at: float | None
    error: str | None = None

    @property
    def acknowledged(self) -> bool:
        """Whether the broker has taken the request: from here on an answer is owed."""
        return self.acked_at is not None and self.error is None and self.position is not None

    @property
    def position(self) -> Position | None:
        """The position of the request, once it is known."""
        return None if self.partition is None or self.offset is None else (self.partition, self.offset)

    def to_json(self) -> str:
        """The line, without its end."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, line: str) -> "Send":
        """Read a line; what it leaves out is not known."""
        raw: dict[str, Any] = json.loads(line)
        known: dict[str, Any] = {name: raw.get(name) for name in cls.__dataclass_fields__}
        return cls(**known)


@dataclass(frozen=True, slots=True)
class Expected:
    """What ``model_version`` must answer to the request at a position: a prediction or a rejection."""

    model_version: str
    in_partition: int
    in_offset: int
    prediction: float | None
    rejection: str | None

    def to_json(self) -> str:
        """One line of the rescorer's file, without its end."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, line: str) -> "Expected":
        """Read a line."""
        return cls(**json.loads(line))


@dataclass(frozen=True)
class Answer:
    """
    One record of the answers topic: a prediction, or a rejection with its reasons.

    ``seen_at`` is the reader's clock in seconds (``time.time``).
    """

    request_id: str
    in_partition: int
    in_offset: int
    model_version: str
    release: int
    prediction: float | None
    rejection: str | None
    seen_at: float

    @property
    def position(self) -> Position:
        """The request this answers: (in_partition, in_offset)."""
        return self.in_partition, self.in_offset


def decode_answer(
    key: bytes | None, value: bytes | None, headers: Sequence[tuple[str, bytes]], seen_at: float
) -> Answer | None:
    """Return the answer in a record of the answers topic, or None for a record that no server of ours wrote."""
    named = dict(headers)
    try:
        body = json.loads(value or b"")
        return Answer(
            request_id=(key or b"").decode(),
            in_partition=int(named[IN_PARTITION]),
            in_offset=int(named[IN_OFFSET]),
            model_version=named[MODEL_VERSION].decode(),
            release=int(named[RELEASE]),
            prediction=body.get("prediction"),
            rejection=body.get("rejection"),
            seen_at=seen_at,
        )
    except (KeyError, TypeError, ValueError, AttributeError):  # a foreign record may hold anything
        return None


def first_answers(answers: Iterable[Answer]) -> Iterator[Answer]:
    """Yield the first answer of each (in_partition, in_offset), in the order they came; the rest are repeats."""
    seen: set[Position] = set()
    for answer in answers:
        if answer.position not in seen:
            seen.add(answer.position)
            yield answer
