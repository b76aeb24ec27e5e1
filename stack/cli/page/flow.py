"""
What the topics tell of the last hour, by seconds, in a size that no traffic enlarges.

Pure: records and moments go in, figures come out. Every time of a record is the broker's. A latency is from the
request's to its answer's, a silence is what a partition said nothing for while its next request waited. Percentiles
are out of bins that are each 5 % wide, so that a second is a few counts however much it holds.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

KEPT_S = 3600
SETTLED_S = 2  # the newest seconds are still being filled
RATE_S = 5  # what a rate of now is the mean of
LATENCY_S = 10  # what a percentile of now is out of
RELEASES_KEPT = 100
BIN = math.log(1.05)


@dataclass(slots=True)
class Second:
    """What came in one second; ``change`` is the number of the change that touched it last."""

    requests: float = 0.0
    answers: int = 0
    silence_ms: int = 0
    bins: Counter[int] = field(default_factory=Counter)
    change: int = 0


@dataclass(slots=True)
class InPartition:
    """Where a partition stands: the first offset that is not answered, the end, and since when that one is seen."""

    next_offset: int
    end: int = -1  # not known yet
    last_answer_ms: int = 0
    last_request_ms: int = 0
    due_offset: int = -1
    due_since: float = 0.0

    @property
    def lag(self) -> int:
        """How many requests wait."""
        return max(0, self.end - self.next_offset)

    def silence_s(self, now: float) -> float:
        """For how long nothing was answered here though a request waits; 0 when none does."""
        if not self.lag or self.due_offset != self.next_offset:
            return 0.0
        return max(0.0, now - max(self.due_since, self.last_answer_ms / 1000))


@dataclass(slots=True)
class ServedRelease:
    """One release as its answers show it, times in seconds since 1970."""

    release: int
    version: str
    first_at: float
    last_at: float
    answers: int = 0


class Flow:
    """The last hour of requests and answers."""

    def __init__(self, began: float) -> None:
        """``began`` is from when on the ends of the topics are looked at; before it, requests are known by answers."""
        self.began = began
        self.looked_at = began
        self.partitions: dict[int, InPartition] = {}
        self.releases: dict[tuple[int, str], ServedRelease] = {}
        self._seconds: dict[int, Second] = {}
        self._change = 0

    def place(self, partition: int, first_offset: int) -> None:
        """A partition of which no answer is known: its first request is the next."""
        self.partitions.setdefault(partition, InPartition(first_offset))

    def ends(self, ends: Mapping[int, int], now: float) -> None:
        """How far the partitions of the requests reach now; what is new is spread over the time since the last look."""
        came = 0
        for partition, end in ends.items():
            state = self.partitions.setdefault(partition, InPartition(end))
            if end < state.end:  # the topic was made anew
                state.next_offset = min(state.next_offset, end)
            if 0 <= state.end < end:
                came += end - state.end
            state.end = end
            if state.lag and state.due_offset != state.next_offset:
                state.due_offset, state.due_since = state.next_offset, now
        if came:
            self._spread(came, now)
        self.looked_at = now

    def answer(self, partition: int, offset: int, asked_ms: int, answered_ms: int, release: int, version: str) -> None:
        """One answer, with the position of its request, in the order of its partition; repeats count once."""
        state = self.partitions.setdefault(partition, InPartition(offset))
        if offset < state.next_offset and asked_ms <= state.last_request_ms:
            return
        self._note_release(release, version, answered_ms / 1000)
        second = self._touch(answered_ms // 1000)
        waited = max(0, answered_ms - asked_ms)
        second.answers += 1
        second.bins[_bin(waited)] += 1
        second.silence_ms = max(second.silence_ms, answered_ms - max(asked_ms, state.last_answer_ms))
        if asked_ms / 1000 < self.began:
            self._touch(asked_ms // 1000).requests += 1
        state.next_offset, state.last_answer_ms, state.last_request_ms = offset + 1, answered_ms, asked_ms

    def now(self, now: float) -> dict[str, Any]:
        """Figures of this moment; None where nothing came that they could be of."""
        last = int(now) - SETTLED_S
        recent = [self._seconds[at] for at in range(last - RATE_S + 1, last + 1) if at in self._seconds]
        bins = _merged(self._seconds[at] for at in range(last - LATENCY_S + 1, last + 2) if at in self._seconds)
        minute = [self._seconds[at].silence_ms for at in range(last - 59, last + 2) if at in self._seconds]
        partitions = [
            {"partition": number, "waiting": state.lag, "silence_s": round(state.silence_s(now), 1)}
            for number, state in sorted(self.partitions.items())
        ]
        return {
            "at": now,
            "requests_per_s": round(sum(second.requests for second in recent) / RATE_S, 1),
            "answers_per_s": sum(second.answers for second in recent) / RATE_S,
            "p50_ms": percentile(bins, 0.50),
            "p99_ms": percentile(bins, 0.99),
            "silence_s": max((one["silence_s"] for one in partitions), default=0.0),
            "longest_silence_ms": max(minute, default=None),
            "waiting": sum(one["waiting"] for one in partitions),
            "partitions": partitions,
        }

    def since(self, change: int) -> tuple[int, list[list[Any]]]:
        """
        The number of the newest change, and the seconds that changed after ``change``, oldest first.

        Each is: second, requests, answers, p50 and p99 in ms, longest silence in ms.
        """
        changed = ((at, second) for at, second in self._seconds.items() if second.change > change)
        rows = [
            [
                at,
                round(second.requests, 1),
                second.answers,
                percentile(second.bins, 0.50),
                percentile(second.bins, 0.99),
                second.silence_ms if second.answers else None,
            ]
            for at, second in sorted(changed, key=lambda one: one[0])
        ]
        return self._change, rows

    def _spread(self, came: int, now: float) -> None:
        """Each second gets its part; a look that was late for hours tells of no more than what is kept."""
        begin = max(self.looked_at, now - KEPT_S + 1)
        took = max(now - begin, 1e-3)
        for at in range(int(begin), int(now) + 1):
            share = (min(at + 1, now) - max(at, begin)) / took
            if share > 0:
                self._touch(at).requests += came * share

    def _touch(self, at: int) -> Second:
        self._change += 1
        second = self._seconds.get(at)
        if second is None:
            second = self._seconds[at] = Second()
            self._forget()
        second.change = self._change
        return second

    def _forget(self) -> None:
        """Only the newest seconds stay; one look at the oldest of them in most cases."""
        while len(self._seconds) > KEPT_S:
            del self._seconds[min(self._seconds)]

    def _note_release(self, release: int, version: str, at: float) -> None:
        known = self.releases.setdefault((release, version), ServedRelease(release, version, at, at))
        known.first_at, known.last_at = min(known.first_at, at), max(known.last_at, at)
        known.answers += 1
        while len(self.releases) > RELEASES_KEPT:
            del self.releases[min(self.releases)]


def percentile(bins: Mapping[int, int], share: float) -> float | None:
    """The value below which that share of what was counted lies, to within 5 %; None of nothing."""
    left = math.ceil(sum(bins.values()) * share)
    for number, count in sorted(bins.items()):
        left -= count
        if left <= 0:
            return round(math.expm1((number + 0.5) * BIN), 1) if number else 0.5
    return None


def _bin(ms: float) -> int:
    return int(math.log1p(ms) / BIN)


def _merged(seconds: Iterable[Second]) -> Counter[int]:
    total: Counter[int] = Counter()
    for second in seconds:
        total.update(second.bins)
    return total
