"""What a prediction is worth: the metrics of one set of rows, on the target's own scale."""

from pyspark.ml.evaluation import BinaryClassificationEvaluator
from pyspark.sql import Column, DataFrame

from apps.trainer.cleaning import INTERNAL, LABEL

SCORE = f"{INTERNAL}score"
_CERTAIN = 1e-15  # a probability of exactly 0 or 1 that is wrong would cost an infinite log loss


def score(task: str, rows: DataFrame, prediction: Column) -> dict[str, float]:
    """The metrics of ``prediction`` against the label."""
    pairs = rows.select(LABEL, prediction.alias(SCORE))
    if task == "regression":
        return _one_row(pairs, _REGRESSION)
    area = BinaryClassificationEvaluator(rawPredictionCol=SCORE, labelCol=LABEL)
    return {**_one_row(pairs, _BINARY), "auc": float(area.evaluate(pairs))}


def _one_row(pairs: DataFrame, formulas: dict[str, str]) -> dict[str, float]:
    row = pairs.selectExpr(*(f"{formula} AS {name}" for name, formula in formulas.items())).first()
    return {name: float(value) for name, value in row.asDict().items() if value is not None}


_SQUARE = f"avg(power({SCORE} - {LABEL}, 2))"
_SURE = f"greatest(least({SCORE}, {1 - _CERTAIN!r}D), {_CERTAIN!r}D)"
_REGRESSION = {
    "rmse": f"sqrt({_SQUARE})",
    "mae": f"avg(abs({SCORE} - {LABEL}))",
    "mape": f"avg(abs({SCORE} - {LABEL}) / nullif(abs({LABEL}), 0D))",
    "r2": f"1 - {_SQUARE} / nullif(var_pop({LABEL}), 0D)",
}
_BINARY = {
    "brier": _SQUARE,
    "log_loss": f"-avg(CASE WHEN {LABEL} = 1D THEN ln({_SURE}) ELSE ln(1D - {_SURE}) END)",
    "accuracy": f"avg(CASE WHEN ({SCORE} >= 0.5D) = ({LABEL} = 1D) THEN 1D ELSE 0D END)",
}
