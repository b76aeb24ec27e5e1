"""From what the learners learn back to the target's own scale, as SQL: the last stage of the pipeline."""

from collections.abc import Sequence
from dataclasses import dataclass

from pyspark.sql import DataFrame

from apps.datasets.declaration import Dataset
from apps.trainer.cleaning import LABEL, double, quoted

_MARGIN = 0.1  # of the span of the labels seen: how far beyond them a prediction may go


@dataclass(frozen=True)
class TargetTransform:
    """
    Clips a learned value to the range that was seen, with a margin, and undoes the logarithm.

    A linear model extrapolates without end; one absurd but valid request must not get an absurd price.
    """

    low: float
    high: float
    logarithm: bool

    @classmethod
    def of(cls, dataset: Dataset, learned: DataFrame, column: str) -> "TargetTransform":
        """The transform that suits the learned values in ``column``."""
        if dataset.task == "binary":
            return cls(0.0, 1.0, logarithm=False)
        low, high = learned.selectExpr(f"min({column})", f"max({column})").first()
        return cls(low - _MARGIN * (high - low), high + _MARGIN * (high - low), dataset.log_target)

    def sql(self, column: str) -> str:
        """The target's value for a learned value in ``column``."""
        clipped = f"greatest(least({column}, {double(self.high)}), {double(self.low)})"
        return f"exp({clipped})" if self.logarithm else clipped

    def last_stage_sql(self, column: str, internal: Sequence[str]) -> str:
        """The last stage: drop every internal column, and predict for each row that nothing rejects."""
        dropped = ", ".join(quoted(name) for name in internal)
        prediction = f"CASE WHEN rejection IS NULL THEN {self.sql(column)} END AS prediction"
        return f"SELECT * EXCEPT ({dropped}), {prediction} FROM __THIS__"  # noqa: S608 - our own names


def learned_sql(dataset: Dataset) -> str:
    """What the learners learn: the label, or its logarithm."""
    return f"ln({LABEL})" if dataset.log_target else LABEL
