"""``./baton watch``: answers as they come, one line each, and beside them the outcomes that become known later."""

import json
import time
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from confluent_kafka import KafkaException, Message
from rich.text import Text

from apps import datasets
from apps.common.errors import BatonError, Unavailable
from apps.common.messages import PROBE_PREFIX, Answer, CachedAnswer, Position, decode_cached, object_in
from apps.common.names import StackNames
from apps.common.settings import kafka_access
from apps.datasets.declaration import Dataset
from loadtest.recorder import answer_in, arriving, positioned, sound
from stack.cli.console import out
from stack.cli.pipeline import Pipeline

REMEMBERED = 20_000  # requests, and answers: an outcome whose answer is older is shown without it
SHOWN_FIELDS = 3
LINES_PER_S = 20  # that a person can follow
SHOWN_TEXT = 24  # characters of a field


class SightKind(StrEnum):
    """What a line is about."""

    PREDICTION = "prediction"
    REJECTION = "rejection"
    OUTCOME = "outcome"


@dataclass(frozen=True)
class Sighting:
    """One line; an outcome has the prediction that it is of, where that was seen. ``latency_ms`` is the broker's."""

    kind: SightKind
    request_id: str
    prediction: float | None = None
    rejection: str | None = None
    outcome: float | None = None
    version: str | None = None
    latency_ms: int | None = None
    cached: bool | None = None
    fields: dict[str, str] = field(default_factory=dict)

    def to_json(self) -> str:
        """For a program: what is not known is left out."""
        return json.dumps({name: value for name, value in vars(self).items() if value not in (None, {})})

    def to_text(self) -> Text:
        """For a person."""
        if self.kind is SightKind.OUTCOME:
            said = (f"{self._outcome():>14}", "cyan")
        elif self.kind is SightKind.REJECTION:
            said = (f"rejected: {self.rejection}", "red")
        else:
            said = (f"{self.prediction:>14,.6g}", "bold")
        after = [] if self.version is None else [f"v{self.version}"]
        after += [] if self.latency_ms is None else [f"{self.latency_ms} ms"]
        after += ["cached"] if self.cached else []
        after += [f"{name}={value[:SHOWN_TEXT]}" for name, value in self.fields.items()]
        return Text.assemble((f"{self.request_id:24} ", "dim"), said, f"  {'  '.join(after)}")

    def _outcome(self) -> str:
        known = "" if self.prediction is None else f", predicted {self.prediction:,.6g}"
        return f"was {self.outcome:,.6g}{known}"


class Sightings:
    """Turns records into sightings; remembers so many requests and answers, and forgets the oldest."""

    def __init__(self, names: StackNames, fields: Iterable[str]) -> None:
        """``fields`` of each request are shown."""
        self.names = names
        self.fields = list(fields)
        self._requests: dict[tuple[Position, int], dict[str, str]] = {}  # by position and the broker's timestamp
        self._answers: dict[str, Answer | CachedAnswer] = {}
        self._answered: dict[tuple[Position, int | None], None] = {}

    def of(self, messages: Iterable[tuple[Message, float]]) -> Iterator[Sighting]:
        """Of the first answers to requests, and of outcomes; what nobody can read, and probes, are passed over."""
        records = list(messages)
        for message, _ in records:  # first: an answer may be read before its request
            if message.topic() == self.names.requests:
                place = (message.partition() or 0, message.offset() or 0), message.timestamp()[1]
                _remember(self._requests, place, self._shown(message.value()))
        for message, seen_at in records:
            if message.topic() == self.names.answers:
                yield from self._answer(message, seen_at)
            elif message.topic() == self.names.outcomes:
                yield from self._outcome(message)

    def _shown(self, value: bytes | None) -> dict[str, str]:
        raw = object_in(value)
        return {name: str(raw[name]) for name in self.fields if raw.get(name) is not None}

    def _answer(self, message: Message, seen_at: float) -> Iterator[Sighting]:
        answer = answer_in(message, seen_at)
        if not answer:
            yield from self._cached(message)
            return
        if answer.request_id.startswith(PROBE_PREFIX) or answer.model not in (None, self.names.model):
            return
        place, number = (answer.position, answer.in_timestamp), isinstance(answer.prediction, int | float)
        if place in self._answered or (answer.rejection is None and not number):  # anybody may write our headers
            return
        _remember(self._answered, place, None)
        _remember(self._answers, answer.request_id, answer)
        asked = answer.in_timestamp
        yield Sighting(
            SightKind.PREDICTION if answer.rejection is None else SightKind.REJECTION,
            answer.request_id,
            prediction=answer.prediction,
            rejection=answer.rejection,
            version=answer.model_version,
            latency_ms=None if asked is None else max(message.timestamp()[1] - asked, 0),
            fields={} if asked is None else self._requests.get((answer.position, asked), {}),
        )

    def _cached(self, message: Message) -> Iterator[Sighting]:
        headers: Any = message.headers() or []
        answer = decode_cached(message.key(), message.value(), headers)
        if answer and answer.model == self.names.model:
            _remember(self._answers, answer.request_id, answer)
            yield Sighting(
                SightKind.PREDICTION,
                answer.request_id,
                prediction=answer.prediction,
                version=answer.model_version,
                cached=True,
            )

    def _outcome(self, message: Message) -> Iterator[Sighting]:
        outcome, key = object_in(message.value()).get("outcome"), (message.key() or b"").decode(errors="replace")
        if isinstance(outcome, int | float):
            answer = self._answers.get(key)
            told = (answer.prediction, answer.model_version) if answer else (None, None)
            yield Sighting(SightKind.OUTCOME, key, prediction=told[0], version=told[1], outcome=outcome)


def _remember(known: dict[Any, Any], key: Any, value: Any) -> None:
    known[key] = value
    if len(known) > REMEMBERED:
        del known[next(iter(known))]


class LineLimit:
    """So many lines in each second; the next says how many were left out."""

    def __init__(self, rate: int) -> None:
        """``rate`` is lines per second, 0 for all."""
        self.rate = rate
        self.left_out = 0
        self._second, self._lines = 0, 0

    def said(self) -> list[Text]:
        """How many were left out since this was asked last, where there were any."""
        left, self.left_out = self.left_out, 0
        return [Text(f"… {left:,} more", style="dim")] if left else []

    def allows(self, now: float) -> bool:
        """Whether there may be one more; ``now`` is in seconds."""
        if int(now) != self._second:
            self._second, self._lines = int(now), 0
        self._lines += 1
        allowed = not self.rate or self._lines <= self.rate
        self.left_out += not allowed
        return allowed


def shown_fields(dataset: Dataset, wanted: list[str]) -> list[str]:
    """Those that are ``wanted``, or a few that say most; raises BatonError for one that nobody declared."""
    known = [name for name in dataset.column_names if name not in (dataset.target, *dataset.key)]
    if unknown := [name for name in wanted if name not in known]:
        rule = f"--field must be a column of {dataset.name} that is asked with"
        raise BatonError(f"{rule}; got {', '.join(unknown)}; there are: {', '.join(known)}")
    telling = [name for name in known if dataset.column(name).required] + [*dataset.one_hot, *known]
    return wanted or list(dict.fromkeys(telling))[:SHOWN_FIELDS]


def sightings(pipeline: Pipeline, fields: list[str]) -> Iterator[Sighting]:
    """What comes from now on, for ever; raises Unavailable when a topic cannot be read."""
    access, names = kafka_access(pipeline.environment), pipeline.names
    try:
        consumer = positioned(access, f"{names.stack}.watch", [names.requests, names.answers, names.outcomes])
    except KafkaException as error:
        raise Unavailable(f"the topics of {names.stack} must be readable; got {error}; is the stack up?") from error
    seen = Sightings(names, fields)
    with closing(consumer):
        while True:
            yield from seen.of(sound(arriving(consumer)))


def watch(
    pipeline: Pipeline, fields: list[str], only: SightKind | None, text: str, rate: int, *, as_json: bool
) -> None:
    """Show what comes, for ever: of one kind ``only``, with ``text`` in it, ``rate`` lines a second at the most."""
    limit = LineLimit(rate)
    for one in sightings(pipeline, shown_fields(datasets.get(pipeline.dataset), fields)):
        if only in (None, one.kind) and text in (line := one.to_json()) and limit.allows(time.monotonic()):
            if as_json:
                print(line, flush=True)
            else:
                out.print(*limit.said(), one.to_text(), sep="\n")
