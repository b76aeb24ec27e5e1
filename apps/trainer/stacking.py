"""
The stacker: how much each learner counts, from their predictions of rows that they were not fitted on.

It is linear, and no weight is negative: learners of one target agree so nearly that free weights would set one against
another, and what is right on the rows at hand need not be on others. A learner whose weight is 0 is not served.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize, nnls

from apps.common.sql_text import quoted
from apps.trainer.cleaning import double

Values = npt.NDArray[np.float64]
_RIDGE = 1e-4  # holds the weights back where the learners separate the two classes


@dataclass(frozen=True)
class Stacker:
    """The weight of each learner, by the column of its output, and the intercept."""

    weights: dict[str, float]
    intercept: float = 0.0

    @classmethod
    def alone(cls, output: str) -> "Stacker":
        """One learner, as it is."""
        return cls({output: 1.0})

    @property
    def outputs(self) -> list[str]:
        """The columns that count."""
        return [output for output, weight in self.weights.items() if weight > 0]

    @property
    def sql(self) -> str:
        """What it makes of the learners' outputs, on the scale that they predict."""
        terms = [f"{double(self.weights[output])} * {quoted(output)}" for output in self.outputs]
        return " + ".join([double(self.intercept), *terms])


def fit(task: str, outputs: Sequence[str], predictions: Values, target: Values) -> Stacker:
    """
    Fit to ``predictions``, a column for each learner (for a binary task logarithms of odds), and the learned target.

    The error is the squared one, for a binary task the log loss.
    """
    weights, intercept = (_logistic if task == "binary" else _least_squares)(predictions, target)
    return Stacker(dict(zip(outputs, map(float, weights), strict=True)), float(intercept))


def _least_squares(predictions: Values, target: Values) -> tuple[Values, float]:
    means, mean = predictions.mean(axis=0), target.mean()
    weights, _ = nnls(predictions - means, target - mean)
    return weights, mean - means @ weights


def _logistic(predictions: Values, target: Values) -> tuple[Values, float]:
    columns = np.column_stack([predictions, np.ones(len(target))])

    def loss(found: Values) -> tuple[float, Values]:
        odds = columns @ found
        held = np.append(found[:-1], 0.0)
        value = np.mean(np.logaddexp(0, odds) - target * odds) + _RIDGE * held @ held / 2
        return value, columns.T @ (_probability(odds) - target) / len(target) + _RIDGE * held

    learners = predictions.shape[1]
    start = np.append(np.full(learners, 1 / learners), 0.0)
    bounds = [*[(0, None)] * learners, (None, None)]
    *weights, intercept = minimize(loss, start, jac=True, bounds=bounds, method="L-BFGS-B").x
    return np.array(weights), intercept


def _probability(odds: Values) -> Values:
    """Of the logarithm of the odds, without an overflow."""
    return np.exp(-np.logaddexp(0, -odds))
