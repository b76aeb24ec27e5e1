"""
The history of a proof: what its journals say, brought into one form that the ledger judges.

A server that writes none of our headers names its request by the key alone. Its answers get the position at which the
requests topic has that key, so that one ledger judges both kinds.
"""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from apps.common.messages import UNNAMED, Answer, Expected, Position, Send
from loadtest.ledger import LineReader, SendJournal
from loadtest.prover.plan import ANSWERS, EVENTS, EXPECTED, HELD_BACK, REQUESTS, SENDS, UNANSWERED, Plan

SENDING, COMMAND, COMMAND_ENDED, SENT, QUIET, ENDED = "sending", "command", "command-ended", "sent", "quiet", "ended"
INTERRUPTED, BROKEN = "interrupted", "broken"


@dataclass(frozen=True, slots=True)
class TopicRecord:
    """A record as it stands in its topic: whose key, where, and when it was seen (seconds since 1970)."""

    key: str
    partition: int
    offset: int
    seen_at: float


@dataclass(frozen=True)
class ProofEvent:
    """What the prover did, and when (seconds since 1970); ``exit_code`` is the command's."""

    kind: str
    at: float
    note: str = ""
    exit_code: int | None = None


@dataclass(frozen=True)
class ProofHistory:
    """What was recorded; ``answers`` in the order in which they were read, those without our headers as records."""

    plan: Plan
    sends: Sequence[Send] = ()
    requests: Sequence[TopicRecord] = ()
    answers: Sequence[Answer | TopicRecord] = ()
    events: Sequence[ProofEvent] = ()
    expected: Sequence[Expected] = ()
    others: int = 0  # records of the answers topic that are nobody's here
    other_key: str | None = None  # that the last of those had
    unanswered: Mapping[str, str] = field(default_factory=dict)  # over HTTP: request id -> what came instead
    held_back: Sequence[tuple[float, float]] = ()  # over HTTP: since and until when none more might be under way
    _standing: dict[str, list[TopicRecord]] = field(init=False, repr=False)
    _by_key_alone: bool = field(init=False, repr=False)  # whether no answer to this run has our headers

    def __post_init__(self) -> None:
        standing: dict[str, list[TopicRecord]] = defaultdict(list)
        for record in self.requests:
            standing[record.key].append(record)
        prefix = f"{self.plan.run}-"
        ours = (one for one in self.answers if isinstance(one, Answer) and one.request_id.startswith(prefix))
        object.__setattr__(self, "_standing", standing)
        object.__setattr__(self, "_by_key_alone", next(ours, None) is None)

    @property
    def complete(self) -> bool:
        """Whether all was read until the end of the quiet phase: what is not there then does not exist."""
        kinds = {event.kind for event in self.events}
        return ENDED in kinds and BROKEN not in kinds

    @property
    def ran_its_time(self) -> bool:
        """Whether it ended by itself: of what it has not seen then, it would never have seen any."""
        return self.complete and self.at(INTERRUPTED) is None

    def at(self, kind: str) -> float | None:
        """When something happened first."""
        return next((event.at for event in self.events if event.kind == kind), None)

    @property
    def twice(self) -> list[str]:
        """The ids that stand in the requests topic more than once: the sending client's doing."""
        return [key for key, records in self._standing.items() if len(records) > 1]

    def stands(self, request_id: str) -> bool:
        """Whether the request was seen in its topic."""
        return request_id in self._standing

    def owed(self) -> list[Send]:
        """
        The sends as the ledger wants them: one for each place in the topic at which a request was seen.

        What was not acknowledged and stands there is owed an answer all the same; so is what a killed sender did not
        come to write down. To a server that names requests by key alone those with one key are one request, which
        stands at its first place.
        """
        sends = [self._found(send) for send in self.sends]
        known = {send.position for send in sends}
        by_id = {send.request_id: send for send in sends}
        for record in self.requests:
            position = record.partition, record.offset
            if position not in known and not (self._by_key_alone and record.key in by_id):
                sent_at = by_id[record.key].sent_at if record.key in by_id else record.seen_at
                sends.append(Send(record.key, *position, sent_at, record.seen_at))
                by_id[record.key] = sends[-1]
        return sends

    def _found(self, send: Send) -> Send:
        records = self._standing.get(send.request_id)
        if not records or (send.acknowledged and not self._by_key_alone):
            return send
        first = records[0]
        found = replace(send, partition=first.partition, offset=first.offset)
        return found if send.acknowledged else replace(found, acked_at=first.seen_at, error=None, refused=False)

    def named_answers(self) -> list[Answer]:
        """Every answer with the position that it answers; each key that stands nowhere gets a position nobody has."""
        places: dict[str, list[Position]] = {
            key: [(record.partition, record.offset) for record in records] for key, records in self._standing.items()
        }
        for send in self.sends:
            if send.position and send.request_id not in places:
                places[send.request_id] = [send.position]
        for number, answer in enumerate(self.answers):
            if isinstance(answer, TopicRecord):
                places.setdefault(answer.key, [(-1, -1 - number)])
        times: dict[str, int] = defaultdict(int)
        return [
            answer if isinstance(answer, Answer) else _answer(answer, places[answer.key], times)
            for answer in self.answers
        ]


def _answer(record: TopicRecord, places: Sequence[Position], times: dict[str, int]) -> Answer:
    """The n-th answer to a key is to the n-th place at which it stands; further ones repeat the last."""
    number, times[record.key] = times[record.key], times[record.key] + 1
    place = places[min(number, len(places) - 1)]
    return Answer(record.key, *place, UNNAMED, 0, None, None, record.seen_at, partition=record.partition)


def read(folder: Path) -> ProofHistory:
    """The history in a folder; a last line that was being written when its process was killed does not count."""
    lines = list(_lines(folder / ANSWERS))
    others: dict[str, Any] = next((line for line in reversed(lines) if "others" in line), {"others": 0})
    return ProofHistory(
        plan=Plan.read(folder),
        sends=SendJournal(folder / SENDS).new(),
        requests=[TopicRecord(**line) for line in _lines(folder / REQUESTS)],
        answers=[_kept(line) for line in lines if "others" not in line],
        events=[ProofEvent(**line) for line in _lines(folder / EVENTS)],
        expected=[Expected(**line) for line in _lines(folder / EXPECTED)],
        others=others["others"],
        other_key=others.get("last_key"),
        unanswered={line["key"]: line["why"] for line in _lines(folder / UNANSWERED)},
        held_back=[(line["since"], line["until"]) for line in _lines(folder / HELD_BACK)],
    )


def _kept(line: dict[str, Any]) -> Answer | TopicRecord:
    return Answer(**line) if "request_id" in line else TopicRecord(**line)


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    yield from map(json.loads, LineReader(path).new())
