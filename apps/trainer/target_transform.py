"""From what the learners learn back to the target's own scale, as SQL: the last stage of the pipeline."""

from collections.abc import Sequence
from dataclasses import dataclass

from pyspark.sql import DataFrame

from apps.common.sql_text import quoted
from apps.datasets.declaration import Dataset
from apps.trainer.cleaning import LABEL, double

AS_IT_IS, EXP = "{}", "exp({})"
PROBABILITY = "1D / (1D + exp(-{}))"  # of a logarithm of odds
_MARGIN = 0.1  # of the span of the labels seen: how far beyond them a prediction may go
_SURE_ODDS = 34.0  # logarithm of the odds that are as good as certain: a probability of 1 - 2e-15


@dataclass(frozen=True)
class TargetTransform:
    """
    Clips a learned value to the range that was seen, with a margin, and brings it to the target's scale by ``inverse``.

    A linear model extrapolates without end; one absurd but valid request must not get an absurd price.
    """

    low: float
    high: float
    inverse: str  # SQL, in which {} stands for the clipped value

    @classmethod
    def of(cls, dataset: Dataset, learned: DataFrame, column: str) -> "TargetTransform":
        """The transform that suits the learned values in ``column``."""
        if dataset.task == "binary":
            return cls(-_SURE_ODDS, _SURE_ODDS, PROBABILITY)
        low, high = learned.selectExpr(f"min({column})", f"max({column})").first()
        return cls(low - _MARGIN * (high - low), high + _MARGIN * (high - low), EXP if dataset.log_target else AS_IT_IS)

    def sql(self, column: str) -> str:
        """The target's value for a learned value in ``column``, or of an expression."""
        return self.inverse.format(f"greatest(least({column}, {double(self.high)}), {double(self.low)})")

    def last_stage_sql(self, column: str, internal: Sequence[str]) -> str:
        """The last stage: drop every internal column, and predict for each row that nothing rejects."""
        dropped = ", ".join(quoted(name) for name in internal)
        prediction = f"CASE WHEN rejection IS NULL THEN {self.sql(column)} END AS prediction"
        return f"SELECT * EXCEPT ({dropped}), {prediction} FROM __THIS__"  # noqa: S608 - our own names


def learned_sql(dataset: Dataset) -> str:
    """What the learners learn: the label, or its logarithm."""
    return f"ln({LABEL})" if dataset.log_target else LABEL
