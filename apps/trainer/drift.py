"""
How much a new batch differs from the rows before it, feature by feature: it warns, and decides nothing.

The measure is the population stability index: over bins, the sum of (new share - old share) * ln(new share / old
share). Where nothing drifts it is about chi-squared with bins - 1 degrees of freedom, times 1 / old rows + 1 / new rows
(B. Yurdakul, "Statistical properties of the population stability index", 2018): what chance explains is no drift.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
import numpy.typing as npt
from pyspark.ml.feature import SQLTransformer
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F  # noqa: N812 - the name everyone knows it by

from apps.datasets.declaration import Dataset
from apps.trainer.cleaning import CATEGORY, NUMBER, categories_of, quoted, request_sql
from apps.trainer.train_set import BATCH

LARGE = 0.2  # the index from which a shift is called large, everywhere
CHANCE = 0.999  # of batches without drift stay below what chance explains, for each feature
BINS = 10
MOST_WORDS = 30  # the commonest words of a category have a bin each, all others one
MOST_ROWS = 20_000  # of the batch, and of those before it: more would tell little more
Shares = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Drift:
    """
    One feature's ``index``, and the index that ``chance`` alone explains.

    ``unseen`` is the share of the new rows whose word no row before had; nought for a number.
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


def measure(dataset: Dataset, rows: DataFrame, batch: str) -> list[Drift]:
    """The drift of each feature of ``batch`` against the other batches of a train set, the largest index first."""
    typed = SQLTransformer(statement=request_sql(dataset)).transform(rows)
    numbers, words = list(dataset.numeric), list(categories_of(dataset))
    cells = [F.col(quoted(name)) for name in (*(NUMBER + one for one in numbers), *(CATEGORY + one for one in words))]

    def columns(of: Column) -> list[list[Any]]:
        drawn = typed.where(of).select(*cells).orderBy(F.xxhash64(*cells)).limit(MOST_ROWS).toArrow()
        return [column.to_pylist() for column in drawn.columns]

    own = F.col(BATCH) == batch
    pairs = list(zip(columns(~own), columns(own), strict=True))
    found = [of_numbers(name, *pair) for name, pair in zip(numbers, pairs, strict=False)]
    found += [of_words(name, *pair) for name, pair in zip(words, pairs[len(numbers) :], strict=True)]
    return sorted(found, key=lambda one: -one.index)


def of_numbers(feature: str, before: Sequence[float | None], now: Sequence[float | None]) -> Drift:
    """The drift of a number; each bin has a tenth of the rows before, and a missing one has a bin of its own."""
    old, new = (np.array([np.nan if one is None else one for one in values], dtype=float) for values in (before, now))
    there = old[~np.isnan(old)]
    edges = np.unique(np.quantile(there, np.arange(1, BINS) / BINS)) if len(there) else np.array([])
    old_counts, new_counts = (np.bincount(_bins(values, edges), minlength=len(edges) + 2) for values in (old, new))
    return _drift(feature, old_counts, new_counts)


def _bins(values: Shares, edges: Shares) -> npt.NDArray[np.intp]:
    """The bin of each value; the last one is that of the missing."""
    return np.where(np.isnan(values), len(edges) + 1, np.searchsorted(edges, values, side="left"))


def of_words(feature: str, before: Iterable[str | None], now: Iterable[str | None]) -> Drift:
    """The drift of a category; a missing word is a word."""
    old, new = Counter(before), Counter(now)
    common = [word for word, _ in old.most_common(MOST_WORDS)]
    old_counts, new_counts = (_of_each(common, counter) for counter in (old, new))
    unseen = sum(count for word, count in new.items() if word not in old) / max(new.total(), 1)
    return _drift(feature, old_counts, new_counts, unseen)


def _of_each(common: list[str | None], counter: Counter[str | None]) -> npt.NDArray[np.intp]:
    """How often each of the common words is there, and all others together."""
    counts = [counter[word] for word in common]
    return np.array([*counts, counter.total() - sum(counts)])


def _drift(feature: str, old: npt.NDArray[np.intp], new: npt.NDArray[np.intp], unseen: float = 0.0) -> Drift:
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
