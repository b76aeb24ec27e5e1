"""
The records on the wire, and the two kinds of lines that a checker compares them with, each written and read here.

A request's key is its id and its value a JSON object of raw fields, each as the source file writes it
(numbers may be JSON numbers). An answer's key is the request id; it stands in the output partition with the
number of its input partition. An outcome's key is the request id.
"""

import json
import math
import secrets
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

IN_PARTITION = "in_partition"
IN_OFFSET = "in_offset"
IN_TIMESTAMP = "in_timestamp"  # when the broker took the request, in milliseconds since 1970
IN_TOPIC_ID = "in_topic_id"  # the id of the requests topic: another, once it was deleted and made anew
MODEL = "model"
MODEL_VERSION = "model_version"
MANIFEST = "manifest"  # the first digits of the sha256 of the version's manifest: which files answered
RELEASE = "release"
PROCESS = "process"  # the nonce that a server draws at its start
READS = "reads"  # which of the dataset's columns the version reads; see read_columns
CACHED = "cached"  # of an answer out of a gateway's cache: the digest of what was asked, in hex digits
UNDECLARED = "undeclared"  # how many fields of a request the dataset does not have

UNNAMED = "unnamed"  # the version of an answer by a server that writes no headers of ours

PROBE_PREFIX = "baton-probe-"  # the key of a request that a starting server sends to itself
MAX_KEY_BYTES = 256  # of a request's id, in UTF-8
MAX_VALUE_BYTES = 64 * 1024  # a longer request is rejected, so that an answer is always small
MAX_TEXT = 4096  # characters of a field; a longer one is rejected, and quarantines the row of a batch


Position = tuple[int, int]  # where a request stands in its topic: (partition, offset)


@dataclass(frozen=True, slots=True)
class Send:
    """
    One line of the sender's journal; without ``acked_at`` nobody knows whether the request reached the topic.

    ``sent_at`` and ``acked_at`` are the sender's clock in seconds (``time.time``); ``late_s`` is how far behind its
    schedule the sender was, None of one that did not say so. One that was ``refused`` never reached the topic.
    """

    request_id: str
    partition: int | None
    offset: int | None
    sent_at: float
    acked_at: float | None
    error: str | None = None
    late_s: float | None = None
    refused: bool = False

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
    def from_json(cls, line: str | bytes) -> "Send":
        """Read a line; what it leaves out is not known."""
        raw: dict[str, Any] = json.loads(line)
        known: dict[str, Any] = {name: raw.get(name) for name in cls.__dataclass_fields__}
        return cls(**{**known, "refused": bool(known["refused"])})


@dataclass(frozen=True, slots=True)
class Expected:
    """
    What ``model_version`` must answer to the request at a position: a prediction or a rejection.

    ``manifest`` names the files that it was computed with, as answers do: a registered model that is deleted begins
    again with version 1. A ``second_opinion`` was computed by code that shares nothing with the server's; there is one
    of a sample.
    """

    model_version: str
    in_partition: int
    in_offset: int
    prediction: float | None
    rejection: str | None
    second_opinion: bool = False
    manifest: str = ""

    def to_json(self) -> str:
        """One line of the rescorer's file, without its end."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, line: str) -> "Expected":
        """Read a line."""
        return cls(**json.loads(line))


def object_in(value: bytes | None) -> dict[str, Any]:
    """The fields of a record's value; none where it is no JSON object."""
    try:
        read = json.loads(value or b"")
    except (ValueError, RecursionError):
        return {}
    return read if isinstance(read, dict) else {}


@dataclass(frozen=True)
class Writer:
    """Who writes answers, to requests of which topic: what all headers of a server's process say alike."""

    model: str
    version: str
    release: int = 0
    process: str = field(default_factory=lambda: secrets.token_hex(8))
    topic_id: str = ""
    manifest: str = ""
    reads: str = ""

    def headers(self) -> dict[str, str]:
        """Header -> text."""
        return {
            IN_TOPIC_ID: self.topic_id,
            MODEL: self.model,
            MODEL_VERSION: self.version,
            MANIFEST: self.manifest,
            RELEASE: str(self.release),
            PROCESS: self.process,
            READS: self.reads,
        }


@dataclass(frozen=True)
class Answer:
    """
    One record of the answers topic: a prediction, or a rejection with its reasons.

    ``seen_at`` is the reader's clock in seconds (``time.time``). ``in_timestamp`` (milliseconds since 1970), ``model``,
    ``process``, ``topic_id`` (of the requests), ``manifest`` and ``reads`` are None in answers of a server that did not
    write them. ``partition`` is where the answer stands, None where its reader does not say so.
    """

    request_id: str
    in_partition: int
    in_offset: int
    model_version: str
    release: int
    prediction: float | None
    rejection: str | None
    seen_at: float
    in_timestamp: int | None = None
    model: str | None = None
    process: str | None = None
    topic_id: str | None = None
    manifest: str | None = None
    partition: int | None = None
    reads: str | None = None

    @property
    def position(self) -> Position:
        """Where the request that this answers stands, or stood: (in_partition, in_offset)."""
        return self.in_partition, self.in_offset

    @property
    def named(self) -> bool:
        """Whether its server wrote our headers: what the request, the version and the release are."""
        return self.model_version != UNNAMED


def decode_answer(
    key: bytes | None, value: bytes | None, headers: Sequence[tuple[str, bytes]], seen_at: float
) -> Answer | None:
    """Return the answer in a record of the answers topic, or None for a record that no server of ours wrote."""
    named = dict(headers)
    try:
        place = int(named[IN_PARTITION]), int(named[IN_OFFSET])
        version, release = named[MODEL_VERSION].decode(), int(named[RELEASE])
        timestamp = int(named[IN_TIMESTAMP]) if IN_TIMESTAMP in named else None
        model, process, topic_id, manifest, reads = (
            named[name].decode() if name in named else None for name in (MODEL, PROCESS, IN_TOPIC_ID, MANIFEST, READS)
        )
        body = json.loads(value or b"")  # last: the value of a foreign record may be large
        return Answer(
            request_id=(key or b"").decode(),
            in_partition=place[0],
            in_offset=place[1],
            model_version=version,
            release=release,
            prediction=body.get("prediction"),
            rejection=body.get("rejection"),
            seen_at=seen_at,
            in_timestamp=timestamp,
            model=model,
            process=process,
            topic_id=topic_id,
            manifest=manifest,
            reads=reads,
        )
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError):  # a foreign record may hold anything
        return None


@dataclass(frozen=True, slots=True)
class CachedAnswer:
    """
    A record of the answers topic that a gateway wrote out of its cache, for a request that no server was asked.

    It answers no position, so whoever reads by position passes over it; ``asked`` is the digest of what was asked.
    ``model``, ``model_version``, ``manifest`` and ``release`` are those of the server that computed it.
    """

    request_id: str
    asked: bytes
    model: str
    model_version: str
    manifest: str
    release: int
    prediction: float

    def headers(self) -> dict[str, str]:
        """Header -> text."""
        return {
            MODEL: self.model,
            MODEL_VERSION: self.model_version,
            MANIFEST: self.manifest,
            RELEASE: str(self.release),
            CACHED: self.asked.hex(),
        }

    def value(self) -> bytes:
        """As the server's own: of a row with a field that nobody declared none is cached."""
        return json.dumps(
            {
                "request_id": self.request_id,
                "prediction": self.prediction,
                "rejection": None,
                UNDECLARED: 0,
                MODEL_VERSION: self.model_version,
                RELEASE: self.release,
            }
        ).encode()


def decode_cached(key: bytes | None, value: bytes | None, headers: Sequence[tuple[str, bytes]]) -> CachedAnswer | None:
    """Return the cached answer in a record of the answers topic, or None for any other record."""
    named = dict(headers)
    if CACHED not in named or IN_OFFSET in named:
        return None
    try:
        model, version, manifest, release, asked = (
            named[name].decode() for name in (MODEL, MODEL_VERSION, MANIFEST, RELEASE, CACHED)
        )
        prediction = json.loads(value or b"")["prediction"]
        if isinstance(prediction, bool) or not isinstance(prediction, int | float) or not math.isfinite(prediction):
            return None
        request_id = (key or b"").decode()
        return CachedAnswer(request_id, bytes.fromhex(asked), model, version, manifest, int(release), float(prediction))
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError, OverflowError):
        return None


def first_answers(answers: Iterable[Answer]) -> Iterator[Answer]:
    """
    Yield the first answer to each request, in the order they came; the rest are repeats.

    A request is known by its position and its timestamp, because a broker that lost the end of its log uses offsets
    again.
    """
    seen: dict[Position, set[int | None]] = defaultdict(set)
    for answer in answers:
        timestamps = seen[answer.position]
        unstamped = answer.in_timestamp is None or None in timestamps  # by a server that wrote no timestamps
        if answer.in_timestamp not in timestamps and not (unstamped and timestamps):
            yield answer
        timestamps.add(answer.in_timestamp)
