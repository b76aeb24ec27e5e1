"""
How much values differ from those before them: the population stability index over bins, and what chance explains.

The index is the sum over the bins of (new share - old share) * ln(new share / old share). Where nothing drifts it is
about chi-squared with bins - 1 degrees of freedom, times 1 / old rows + 1 / new rows (B. Yurdakul, "Statistical
properties of the population stability index", 2018): what chance explains is no drift.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
import numpy.typing as npt

LARGE = 0.2  # the index from which a shift is called large, everywhere
CHANCE = 0.999  # of comparisons without drift stay below what chance explains, for each feature
BINS = 10
MOST_WORDS = 30  # the commonest words of a category have a bin each, all others one
Counts = npt.NDArray[np.intp]


@dataclass(frozen=True)
class Drift:
    """
    One feature's ``index``, and the index that ``chance`` alone explains.

    ``unseen`` is the share of the new rows whose word no row before had, where that is known; nought for a number.
    """

    feature: str
    index: float
    chance: float
    unseen: float = 0.0

    @property
    def large(self) -> bool:
        """Whether a person should look at it."""
        return self.index > max(LARGE, self.chance)

    def words(self) -> str:
        """The figures, for a warning."""
        new = f", {self.unseen:.0%} of it never seen before" if self.unseen else ""
        return f"{self.feature} {self.index:.2f}{new}"


@dataclass(frozen=True)
class NumberBins:
    """The inner edges of a number's bins, each with a tenth of the rows that they were made of; missing has its own."""

    edges: tuple[float, ...]

    @classmethod
    def of(cls, values: Iterable[float | None]) -> "NumberBins":
        """Made of values; None and NaN are missing."""
        there = _floats(values)
        there = there[~np.isnan(there)]
        return cls(tuple(np.unique(np.quantile(there, np.arange(1, BINS) / BINS)).tolist()) if len(there) else ())

    def count(self, values: Iterable[float | None]) -> Counts:
        """How many values each bin has, the last that of the missing: (edges + 2,)."""
        found = _floats(values)
        places = np.where(np.isnan(found), len(self.edges) + 1, np.searchsorted(self.edges, found, side="left"))
        return np.bincount(places, minlength=len(self.edges) + 2)


@dataclass(frozen=True)
class WordBins:
    """A category's commonest words, of which each is a bin; a missing word is a word, and the others share the last."""

    words: tuple[str | None, ...]

    @classmethod
    def of(cls, values: Iterable[str | None]) -> "WordBins":
        """Made of values."""
        return cls(tuple(word for word, _ in Counter(values).most_common(MOST_WORDS)))

    def count(self, values: Iterable[str | None]) -> Counts:
        """How many values each bin has: (words + 1,)."""
        counter = Counter(values)
        counts = [counter[word] for word in self.words]
        return np.array([*counts, counter.total() - sum(counts)], dtype=np.intp)


Bins = NumberBins | WordBins


def _floats(values: Iterable[float | None]) -> npt.NDArray[np.float64]:
    return np.array([np.nan if one is None else one for one in values], dtype=float)


def of_numbers(feature: str, before: Sequence[float | None], now: Sequence[float | None]) -> Drift:
    """The drift of a number."""
    bins = NumberBins.of(before)
    return of_counts(feature, bins.count(before), bins.count(now))


def of_words(feature: str, before: Sequence[str | None], now: Sequence[str | None]) -> Drift:
    """The drift of a category."""
    bins, known = WordBins.of(before), set(before)
    unseen = sum(word not in known for word in now) / max(len(now), 1)
    return of_counts(feature, bins.count(before), bins.count(now), unseen)


def of_counts(feature: str, old: Counts, new: Counts, unseen: float = 0.0) -> Drift:
    """The drift between what the same bins had before and have now."""
    used = (old + new) > 0
    bins = int(used.sum())
    if bins < 2 or not old.sum() or not new.sum():  # noqa: PLR2004 - one bin cannot differ from itself
        return Drift(feature, 0.0, 0.0, unseen)
    shares = [(counts[used] + 0.5) / (counts[used] + 0.5).sum() for counts in (old, new)]
    index = float(((shares[1] - shares[0]) * np.log(shares[1] / shares[0])).sum())
    chance = _chi_squared(bins - 1) * float(1 / old.sum() + 1 / new.sum())
    return Drift(feature, index, chance, unseen)


def _chi_squared(degrees: int) -> float:
    """What its value stays below in CHANCE of the cases, by Wilson and Hilferty's cube: 3 % off at the most."""
    spread = 2 / (9 * degrees)
    return float(degrees * (1 - spread + NormalDist().inv_cdf(CHANCE) * spread**0.5) ** 3)


@dataclass(frozen=True)
class Baseline:
    """What a feature was like where a model learned: its bins, and what each of them had."""

    bins: Bins
    counts: Counts

    @classmethod
    def of_numbers(cls, values: Iterable[float | None]) -> "Baseline":
        """Of a number's values."""
        values = list(values)
        bins = NumberBins.of(values)
        return cls(bins, bins.count(values))

    @classmethod
    def of_words(cls, values: Iterable[str | None]) -> "Baseline":
        """Of a category's values."""
        values = list(values)
        bins = WordBins.of(values)
        return cls(bins, bins.count(values))

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {**vars(self.bins), "counts": self.counts.tolist()}

    @classmethod
    def from_dict(cls, raw: dict[str, Any]) -> "Baseline":
        """Read it again; raises KeyError, TypeError or ValueError for what is none."""
        bins = NumberBins(tuple(map(float, raw["edges"]))) if "edges" in raw else WordBins(tuple(raw["words"]))
        counts = np.array(raw["counts"], dtype=np.intp)
        if counts.shape != bins.count([]).shape:
            raise ValueError("a baseline must have a count for each of its bins")
        return cls(bins, counts)
