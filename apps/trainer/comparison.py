"""
How much worse one model is than another on the same rows, as an interval and not as a single number.

The rows of a test part are a sample: by chance alone a better model may look worse on it. So rows are drawn again and
again from those that there are (a bootstrap, paired: a drawn row counts for both), and the spread of what comes out is
how far the figure can be trusted.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

RESAMPLES = 1000
SEED = 17  # a training that was killed and is run again comes to the same figures
CONFIDENCE = 0.95
_TAILS = ((1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2)
_NOTHING = 0.01  # an error below this share of the target's spread, or of one nat of log loss, is no error
_CERTAIN = 1e-15
Values = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Comparison:
    """
    A metric of both models on ``rows`` rows, the smaller the better.

    ``worse`` is by which share of the champion's the candidate's is larger, negative when it is smaller; from ``low``
    to ``high`` is its interval.
    """

    metric: Literal["rmse", "log_loss"]
    rows: int
    candidate: float
    champion: float
    worse: float
    low: float
    high: float

    def exceeds(self, margin: float) -> bool:
        """Whether the candidate is worse by more than ``margin``, beyond what chance explains."""
        return self.low > margin

    def spends(self, before: float, margin: float) -> float:
        """
        How much of ``margin`` is used up when the candidate follows a champion that had used up ``before``.

        A better one gives some of it back. So a chain of versions, each a little worse, is not led further than one.
        """
        return min(max(before + self.worse, 0.0), margin)

    def words(self) -> str:
        """The figures in a line."""
        spread = f"{CONFIDENCE:.0%} interval {self.low:+.1%} to {self.high:+.1%}"
        both = f"{self.metric} {self.candidate:.4g} against {self.champion:.4g}"
        return f"{both} on {self.rows} rows: {self.worse:+.1%} ({spread})"

    def metrics(self) -> dict[str, float]:
        """What MLflow shows."""
        return {
            "gate_rows": self.rows,
            f"gate_{self.metric}": self.candidate,
            f"gate_champion_{self.metric}": self.champion,
            "gate_worse": self.worse,
            "gate_worse_low": self.low,
            "gate_worse_high": self.high,
        }


def compare(task: str, labels: Values, candidate: Values, champion: Values) -> Comparison:
    """
    Compare two models' finite predictions of ``labels``; the order of the rows does not matter.

    The metric is the root of the mean squared error on the target's own scale, for a binary task the log loss in nats.
    """
    rows = np.column_stack([labels, candidate, champion])
    labels, *predictions = rows[np.lexsort(rows.T)].T
    losses = np.stack([_losses(task, labels, one) for one in predictions])
    least = _NOTHING if task == "binary" else _NOTHING * float(labels.std())
    draw = np.random.default_rng(SEED)
    drawn = (losses[:, draw.integers(len(labels), size=len(labels))] for _ in range(RESAMPLES))
    low, high = np.quantile([_worse(task, sample, least) for sample in drawn], _TAILS)
    mine, its = _metric(task, losses)
    return Comparison(
        metric="log_loss" if task == "binary" else "rmse",
        rows=len(labels),
        candidate=float(mine),
        champion=float(its),
        worse=_worse(task, losses, least),
        low=float(low),
        high=float(high),
    )


def _losses(task: str, labels: Values, predictions: Values) -> Values:
    """What each row adds to the metric."""
    if task != "binary":
        return np.square(predictions - labels)
    sure = np.clip(predictions, _CERTAIN, 1 - _CERTAIN)
    return -np.where(labels == 1, np.log(sure), np.log(1 - sure))


def _metric(task: str, losses: Values) -> Values:
    means: Values = losses.mean(axis=1)
    return means if task == "binary" else np.sqrt(means)


def _worse(task: str, losses: Values, least: float) -> float:
    """The share by which the first metric is larger than the second; both count as at least ``least``."""
    candidate, champion = np.maximum(_metric(task, losses), max(least, np.finfo(float).tiny))
    return float(candidate / champion - 1)
