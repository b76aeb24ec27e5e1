"""
When a server must end by itself, decided from what it sees of the two topics: a server that does not answer, or answers
what others should, is worse than one that is started anew.

It sees what everybody sees, and asks its own stream nothing: whatever is wrong inside, an unanswered request shows it.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

BEGIN_S = 30  # a stream that starts, or whose broker was away, may be silent for this long
FENCE_S = 10  # by so much this one outlives a newer release that leaves requests lying, and ends itself for that
FORGET_S = 10  # a newer release that was not seen for this long has failed


@dataclass(frozen=True)
class Look:
    """
    What the topics show at the moment ``at`` (seconds, monotonic).

    By partition: ``ends`` the offset behind the last request, ``answered`` the one behind the highest that this process
    answered, ``anybody`` the same of all processes: a standby may answer in the place of a server that is stuck.
    ``newest`` is the highest release that answered since the look before, ``others`` the other processes, and the
    release of each, that have since then answered what was asked since then. ``lost`` are the partitions whose log lost
    its end. ``requests`` and ``answers`` count partitions.
    """

    at: float
    topic_id: str
    requests: int
    answers: int
    ends: Mapping[int, int]
    answered: Mapping[int, int]
    anybody: Mapping[int, int] = field(default_factory=dict)
    newest: int = 0
    others: Mapping[str, int] = field(default_factory=dict)
    lost: tuple[int, ...] = ()


@dataclass
class ProgressRules:
    """
    The rules of one server; each look changes what they remember.

    ``owed`` (partition, first, end) says whether a request stands between two offsets: a transaction's marks take
    offsets too.
    """

    release: int
    topic_id: str
    partitions: int
    stall_s: float
    owed: Callable[[int, int, int], bool]
    began: float
    begin_s: float = BEGIN_S
    # partition -> what was answered, up to where requests stood, and since when
    _waiting: dict[int, tuple[int, int, float]] = field(default_factory=dict)
    _newer: tuple[float, float] | None = None  # a newer release: first and last seen
    _unequal: bool = False

    def broker_away(self, at: float) -> None:
        """Nobody answers while the broker does not, and its clients need a while to come back."""
        self.began = at
        self._waiting.clear()

    def reason_to_end(self, look: Look) -> str | None:
        """Why the server must end now; None while all is well."""
        return self.changed(look) or self.stalled(look, look.answered, self.stall_s) or self.superseded(look)

    def changed(self, look: Look) -> str | None:
        """Why the topics are not those that the server began with."""
        if look.topic_id != self.topic_id:
            return "the requests topic was made anew; the offsets of the old one mean nothing"
        if look.requests == look.answers > self.partitions:
            return f"the topics have {look.requests} partitions; this server reads {self.partitions}"
        if look.lost:
            return f"partition {look.lost[0]}: the log of requests or answers lost its end; some may be owed an answer"
        return None

    def unequal(self, look: Look) -> str | None:
        """What to say, once, about topics whose partitions differ in number."""
        before, self._unequal = self._unequal, look.requests != look.answers
        if self._unequal and not before:
            counts = f"got {look.answers} for {look.requests}"
            return f"the answers must have as many partitions as the requests; {counts}; add some to the smaller"
        return None

    @property
    def waiting(self) -> bool:
        """Whether a request waited when it was last asked."""
        return bool(self._waiting)

    @property
    def waiting_since(self) -> float:
        """Since when the answers of the partition that waits longest stand still; infinite where none waits."""
        return min((since for _, _, since in list(self._waiting.values())), default=math.inf)

    def stalled(self, look: Look, answers: Mapping[int, int], stall_s: float) -> str | None:
        """Which request waits for ``stall_s``, and ``answers`` (partition -> offset behind the highest) stand still."""
        for partition, end in look.ends.items():
            answered = answers[partition]
            known, stood, since = self._waiting.get(partition, (-1, end, look.at))
            if answered >= end:
                self._waiting.pop(partition, None)
            elif answered != known:
                self._waiting[partition] = answered, end, look.at
            elif look.at - max(since, self.began + self.begin_s) >= stall_s:
                if self.owed(partition, answered, stood):  # what came later has not waited for so long
                    return f"partition {partition}: offset {answered} of {end} is unanswered for {stall_s:g} s"
                self._waiting[partition] = answered, end, look.at
        return None

    @property
    def fence_s(self) -> float:
        """For how many seconds a newer release must have answered before this one leaves."""
        return BEGIN_S + self.stall_s + FENCE_S

    def superseded(self, look: Look) -> str | None:
        """Why to make room for another process."""
        if self._newer and look.at - self._newer[1] > FORGET_S:
            self._newer = None
        if look.newest <= self.release:
            return None
        first = self._newer[0] if self._newer else look.at
        self._newer = first, look.at
        return f"release {look.newest} answers for {self.fence_s:g} s" if look.at - first >= self.fence_s else None
