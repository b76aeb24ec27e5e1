"""
What a sample of the requests and predictions was like, by version and window, beside what the version learned from.

Plain Python, as ``windows``: a batch of the sample has become a count for each bin of each feature when it comes here.
"""

import json
from collections.abc import Iterator, Mapping
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

    ``topics`` are the ids of the topics that it is of, ``window_s`` is how long a window is; ``version`` answered last.
    """

    topics: list[str] = field(default_factory=list)
    window_s: int = 0
    batch: int = -1
    version: str = ""
    counts: dict[Key, dict[str, Counts]] = field(default_factory=dict)

    def add(self, batch: int, found: Mapping[Key, Mapping[str, Counts]]) -> bool:
        """Add the counts of a batch; keep each version's newest window and the one before; whether it was new."""
        if batch <= self.batch:
            return False
        self.batch = batch
        for key, counts in found.items():
            window = self.counts.setdefault(key, {})
            for name, added in counts.items():
                before = window.get(name)
                # A version of another model that was begun anew has the number and not the bins.
                window[name] = added if before is None or before.shape != added.shape else before + added
        newest = max((start for _, start in self.counts), default=0)
        self.counts = {key: window for key, window in self.counts.items() if key[1] >= newest - self.window_s}
        return True

    @property
    def newest(self) -> Key:
        """The window of the version that answered last."""
        return self.version, max((start for version, start in self.counts if version == self.version), default=0)

    def records(self, baselines: Baselines) -> Iterator[tuple[Key, dict[str, Any]]]:
        """Each window of a version whose baselines are known, for a reader: every feature's index of both kinds."""
        for (version, start), window in self.counts.items():
            if known := baselines.get(version):
                base, before = self.drifts(version, start, known), self._consecutive(version, start)
                yield (
                    (version, start),
                    {
                        "version": version,
                        "window_start": start,
                        "window_s": self.window_s,
                        "rows": max((int(counts.sum()) for counts in window.values()), default=0),
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
            of_counts(name, baseline.counts, window[name])
            for name, baseline in baselines.items()
            if name in window and window[name].shape == baseline.counts.shape
        ]
        return sorted(found, key=lambda one: -one.index)

    def _consecutive(self, version: str, start: int) -> dict[str, Drift]:
        """The drift of each feature against the window before of the same version, whose bins are the same."""
        before, now = self.counts.get((version, start - self.window_s), {}), self.counts[version, start]
        return {
            name: of_counts(name, before[name], counts)
            for name, counts in now.items()
            if name in before and before[name].shape == counts.shape
        }

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


def _named(kind: str, drift: Drift | None) -> dict[str, float]:
    return {} if drift is None else {kind: drift.index, f"{kind}_chance": drift.chance}
