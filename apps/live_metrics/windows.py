"""
The figures of each version and window, out of sums to which every batch of rows adds once.

Everything here is plain Python: a batch of rows has become a few sums by the time it comes here.
"""

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

SETTLED = 0.99  # share of a window's predictions whose outcome is known: what is still to come changes little
STEP = 1.1  # from one bucket of the absolute error to the next: a quantile is 5 % off at the most
SMALLEST = 1e-9  # an error that is smaller is one of this
BINS, ODDS = 400, 20.0  # buckets of the log odds for each class, from -ODDS to ODDS: rare events are told apart, too
CHANCE = 1.96  # standard errors on each side within which 95 of 100 lie
Key = tuple[str, int]  # version, and when the window begins, in seconds since 1970


@dataclass
class Sums:
    """What the answers of one version, written in one window, add up to; ``buckets``: how many labelled fell where."""

    answers: int = 0
    rejections: int = 0
    labelled: int = 0
    latency_ms: int = 0
    worst_latency_ms: int = 0
    error: float = 0.0
    absolute: float = 0.0
    square: float = 0.0
    fourth: float = 0.0
    relative: float = 0.0
    positive: float = 0.0
    log_loss: float = 0.0
    hit: float = 0.0
    buckets: Counter[int] = field(default_factory=Counter)

    def add(self, other: "Sums") -> None:
        """Add another's; of the worst latencies the worse is kept."""
        worst = max(self.worst_latency_ms, other.worst_latency_ms)
        for name in vars(self):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.worst_latency_ms = worst

    def figures(self, task: str) -> dict[str, float | int | None]:
        """
        What a reader is told; errors in the target's unit, None where nothing is known.

        ``coverage`` is the share of predictions whose outcome is known; ``rmse_low`` and ``rmse_high`` bound the RMSE
        by what chance does to so many outcomes, in 95 of 100 cases.
        """
        predictions = self.answers - self.rejections
        told: dict[str, float | int | None] = {
            "answers": self.answers,
            "rejections": self.rejections,
            "labelled": self.labelled,
            "coverage": self.labelled / predictions if predictions else None,
            "latency_ms_mean": self.latency_ms / self.answers if self.answers else None,
            "latency_ms_max": self.worst_latency_ms,
        }
        return {**told, **(self._binary() if task == "binary" else self._regression())}

    def settled(self, start: int, window_s: int, wait_s: int, now: float) -> bool:
        """
        Whether the window that begins at ``start`` is over, and with it what is waited for: all outcomes, or the time.

        Until then it has the outcomes that came fast, which are no fair sample.
        """
        end = start + window_s
        return end + wait_s < now or (end < now and self.labelled >= SETTLED * (self.answers - self.rejections) > 0)

    def rmse_bounds(self) -> tuple[float | None, float | None]:
        """Between them the RMSE lies in 95 of 100 cases, by the squares' variance; of one outcome nothing is known."""
        if self.labelled < 2:  # noqa: PLR2004 - see above
            return None, None
        mean = self.square / self.labelled
        variance = max(self.fourth / self.labelled - mean * mean, 0.0) / (self.labelled - 1)
        reach = CHANCE * math.sqrt(variance)
        return math.sqrt(max(mean - reach, 0.0)), math.sqrt(mean + reach)

    def _regression(self) -> dict[str, float | None]:
        low, high = self.rmse_bounds()
        return {
            "rmse": self._mean(self.square, root=True),
            "rmse_low": low,
            "rmse_high": high,
            "mae": self._mean(self.absolute),
            "mape": self.relative / self.positive if self.positive else None,
            "bias": self._mean(self.error),
            **{f"absolute_error_p{percent}": self._quantile(percent / 100) for percent in (50, 90, 99)},
        }

    def _quantile(self, share: float) -> float | None:
        """The middle of the bucket of absolute errors that has it."""
        wanted, found = share * self.buckets.total(), 0
        for bucket in sorted(self.buckets):
            found += self.buckets[bucket]
            if found >= wanted:
                return float(STEP ** (bucket - 0.5))
        return None

    def _binary(self) -> dict[str, float | None]:
        return {
            "log_loss": self._mean(self.log_loss),
            "accuracy": self._mean(self.hit),
            "brier": self._mean(self.square),
            "bias": self._mean(self.error),
            "auc": self._auc(),
        }

    def _auc(self) -> float | None:
        """The share of pairs of both classes whose order is right, and half of those alike: the Mann-Whitney count."""
        no, yes = ([self.buckets[offset + place] for place in range(BINS + 1)] for offset in (0, BINS + 1))
        if not sum(no) or not sum(yes):
            return None
        below, right = 0, 0.0
        for negatives, positives in zip(no, yes, strict=True):
            right += positives * (below + negatives / 2)
            below += negatives
        return right / (sum(no) * sum(yes))

    def _mean(self, total: float, *, root: bool = False) -> float | None:
        if not self.labelled:
            return None
        mean = total / self.labelled
        return math.sqrt(mean) if root else mean


@dataclass
class Windows:
    """
    All that is not yet final, and which batch of rows was added last: one that comes again is not added again.

    ``topics`` are the ids of the topics that it is of, ``window_s`` is how long a window is; ``outcomes`` were read so
    far, ``unreadable`` of them.
    """

    topics: list[str] = field(default_factory=list)
    window_s: int = 0
    batch: int = -1
    outcomes: int = 0
    unreadable: int = 0
    sums: dict[Key, Sums] = field(default_factory=dict)

    def add(self, batch: int, rows: Iterable[Mapping[str, Any]]) -> bool:
        """Add the sums of a batch, by version and window; whether it was a new one."""
        if batch <= self.batch:
            return False
        self.batch = batch
        for row in rows:
            self.outcomes += row["outcomes"]
            self.unreadable += row["unreadable"]
            if row["version"]:
                added = Sums(**{**{name: row[name] for name in vars(Sums())}, "buckets": Counter(row["buckets"])})
                self.sums.setdefault((row["version"], row["window"]), Sums()).add(added)
        return True

    def forget(self, before: float) -> None:
        """Let go of the windows that begin before that; nothing can change them."""
        self.sums = {key: sums for key, sums in self.sums.items() if key[1] >= before}

    def since(self, start: float) -> dict[str, Sums]:
        """For each version the sums of the windows that begin at ``start`` or later."""
        total: dict[str, Sums] = {}
        for (version, window), sums in self.sums.items():
            if window >= start:
                total.setdefault(version, Sums()).add(sums)
        return total

    def to_json(self) -> bytes:
        """All of it, to be read by ``from_json``."""
        kept = [[*key, vars(sums)] for key, sums in self.sums.items()]
        return json.dumps({**vars(self), "sums": kept}).encode()

    @classmethod
    def from_json(cls, text: bytes) -> "Windows":
        """Read it again."""
        raw = json.loads(text)
        return cls(**{**raw, "sums": {(version, window): _sums(sums) for version, window, sums in raw["sums"]}})


def _sums(raw: dict[str, Any]) -> Sums:
    buckets = {int(bucket): count for bucket, count in raw.get("buckets", {}).items()}
    return Sums(**{**raw, "buckets": Counter(buckets)})
