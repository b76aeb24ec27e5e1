"""What a proof has seen: how often each kind of thing happened, the worst of them, and whether it is forbidden."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

WORST = 20  # of a kind are told one by one; the others are counted

LOST, TURNED_AWAY = "lost", "turned-away"
REPEATS, UNASKED, MISPLACED, REORDERED = "repeats", "unasked", "misplaced", "reordered"
SKIPPED, WENT_BACK, WRONG, POISON, SILENCE, LATENCY = "skipped", "went-back", "wrong", "poison", "silence", "latency"
TWICE, REFUSED, UNKNOWN, LATE = "sent-twice", "refused", "unknown", "sent-late"

MEANING = {  # every kind that a server can be blamed for
    LOST: "acknowledged requests without an answer",
    TURNED_AWAY: "requests over HTTP that no server took",
    REPEATS: "answers to a request that had one",
    UNASKED: "answers without a request",
    MISPLACED: "answers that name another place, version or model than is theirs",
    REORDERED: "kept answers that stand behind that of a later request",
    SKIPPED: "answers with which a writer broke its order or left a request out",
    WENT_BACK: "kept answers of a release that a newer one had replaced",
    WRONG: "answers whose value is not what their version predicts",
    POISON: "poisons without their one rejection",
    SILENCE: "silences longer than stated",
    LATENCY: "latencies longer than stated",
}
CLIENTS = {  # what is the sender's, or Kafka's, and no fault of the server
    TWICE: "requests that the sending client wrote twice",
    REFUSED: "requests that never reached the topic",
    UNKNOWN: "requests of which nobody knows whether they reached it",
    LATE: "requests sent more than 10 ms behind the schedule",
}


@dataclass(frozen=True)
class Finding:
    """``total`` things of a kind, the worst of them first and at most WORST of them told."""

    kind: str
    total: int
    worst: Sequence[str]
    forbidden: bool

    @property
    def meaning(self) -> str:
        """What was counted."""
        return MEANING.get(self.kind) or CLIENTS[self.kind]


def finding(kind: str, cases: Iterable[str], allowed: Iterable[str] = ()) -> Finding:
    """What was found of a kind; ``cases`` are the worst first."""
    every = list(cases)
    return Finding(kind, len(every), every[:WORST], kind in MEANING and kind not in allowed)
