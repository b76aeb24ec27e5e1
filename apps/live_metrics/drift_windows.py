"""
What a sample of the requests and predictions was like, by version and window, beside what the version learned from.

Plain Python, as ``windows``: a batch of the sample has become a count for each bin of each feature when it comes here.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from apps.common.drift import Baseline, Counts, Drift, of_counts

PREDICTION = "prediction"  # stands among the features
Key = tuple[str, int]  # version, and when the window begins, in seconds since 1970
Baselines = Mapping[str, Mapping[str, Baseline]]  # version -> feature -> what it was like


@dataclass
class DriftWindows:
    """
    The counts of the newest windows, and which batch was added last: one that comes again is not added again.

    ``topics`` are the ids of the topics that it is of, ``window_s`` is how long a window is; ``version`` answered last,
    and ``runs`` are the versions' runs: a model that was begun anew has the same numbers.
    """

    topics: list[str] = field(default_factory=list)
    window_s: int = 0
    batch: int = -1
    version: str = ""
    runs: dict[str, str] = field(default_factory=dict)
    counts: dict[Key, dict[str, Counts]] = field(default_factory=dict)

    def add(self, batch: int, found: Mapping[Key, Mapping[str, Counts]]) -> bool:
        """Add the counts of a batch; keep the newest window of all and the one before; whether it was a new one."""
        if batch <= self.batch:
            return False
        self.batch = batch
        for key, counts in found.items():
            window = self.counts.setdefault(key, {})
            for name, added in counts.items():
                window[name] = window[name] + added if name in window else added
        newest = max((start for _, start in self.counts), default=0)
        self.counts = {key: window for key, window in self.counts.items() if key[1] >= newest - self.window_s}
        return True

    def of_run(self, version: str, run_id: str) -> None:
        """What is counted for a version is of this run from here on; what is of another is forgotten."""
        if self.runs.get(version) != run_id:
            self.counts = {key: window for key, window in self.counts.items() if key[0] != version}
            self.runs[version] = run_id

    def told(self, version: str) -> Key | None:
        """The window that speaks for a version: its newest, or the one before until half as many rows are in that."""
        starts = sorted(start for one, start in self.counts if one == version)
        if not starts:
            return None
        before, newest = starts[-2:][0], starts[-1]
        return version, newest if 2 * self.rows(version, newest) >= self.rows(version, before) else before

    def rows(self, version: str, start: int) -> int:
        """How many requests, or predictions where they are more, a window has."""
        return max((int(counts.sum()) for counts in self.counts[version, start].values()), default=0)

    def records(self, baselines: Baselines) -> Iterator[tuple[Key, dict[str, Any]]]:
        """Each window of a version whose baselines are known, for a reader: every feature's index of both kinds."""
        for version, start in self.counts:
            if known := baselines.get(version):
                base, before = self.drifts(version, start, known), self._consecutive(version, start)
                yield (
                    (version, start),
                    {
                        "version": version,
                        "window_start": start,
                        "window_s": self.window_s,
                        "rows": self.rows(version, start),
                        "large": [drift.feature for drift in base if drift.large],
                        "features": {
                            drift.feature: {
                                "baseline": drift.index,
                                "baseline_chance": drift.chance,
                                **_named("consecutive", before.get(drift.feature)),
                            }
                            for drift in base
                        },
                    },
                )

    def drifts(self, version: str, start: int, baselines: Mapping[str, Baseline]) -> list[Drift]:
        """The drift of each feature of a window against its baseline, the largest index first."""
        window = self.counts[version, start]
        found = [
            of_counts(name, baseline.counts, window[name]) for name, baseline in baselines.items() if name in window
        ]
        return sorted(found, key=lambda one: -one.index)

    def _consecutive(self, version: str, start: int) -> dict[str, Drift]:
        """The drift of each feature against the window before of the same version, whose bins are the same."""
        before, now = self.counts.get((version, start - self.window_s), {}), self.counts[version, start]
        return {name: of_counts(name, before[name], counts) for name, counts in now.items() if name in before}

    def to_json(self) -> bytes:
        """All of it, to be read by ``from_json``."""
        kept = [[*key, {name: one.tolist() for name, one in window.items()}] for key, window in self.counts.items()]
        return json.dumps({**vars(self), "counts": kept}).encode()

    @classmethod
    def from_json(cls, text: bytes) -> "DriftWindows":
        """Read it again."""
        raw = json.loads(text)
        counts = {
            (version, start): {name: np.array(one, dtype=np.intp) for name, one in window.items()}
            for version, start, window in raw["counts"]
        }
        return cls(**{**raw, "counts": counts})


def counted(
    baselines: Mapping[str, Baseline], features: Sequence[str], rows: Sequence[tuple[Any, ...]]
) -> dict[int, dict[str, Counts]]:
    """The counts of rows, each with its window first and then the ``features``; one without a baseline has none."""
    found: dict[int, dict[str, Counts]] = {}
    for start in {row[0] for row in rows}:
        _, *columns = zip(*(row for row in rows if row[0] == start), strict=True)
        found[start] = {
            name: baselines[name].bins.count(values)
            for name, values in zip(features, columns, strict=True)
            if name in baselines
        }
    return found


def _named(kind: str, drift: Drift | None) -> dict[str, float]:
    return {} if drift is None else {kind: drift.index, f"{kind}_chance": drift.chance}
