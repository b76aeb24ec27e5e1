"""
The records on the wire: topics, headers, and how a reader keeps the first answer of each request.

A request's key is its id and its value a JSON object of raw fields, each as the source file writes it
(numbers may be JSON numbers). An answer's key is the request id; it stands in the output partition with the
number of its input partition. An outcome's key is the request id.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

REQUESTS = "prediction-requests"
ANSWERS = "predictions"
OUTCOMES = "outcomes"

IN_PARTITION = "in_partition"
IN_OFFSET = "in_offset"
MODEL_VERSION = "model_version"
RELEASE = "release"

PROBE_PREFIX = "baton-probe-"  # the key of a request that a starting server sends to itself
MAX_VALUE_BYTES = 64 * 1024  # a longer request is rejected, so that an answer is always small


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
    def position(self) -> tuple[int, int]:
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
    seen: set[tuple[int, int]] = set()
    for answer in answers:
        if answer.position not in seen:
            seen.add(answer.position)
            yield answer
