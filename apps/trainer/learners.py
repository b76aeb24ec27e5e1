"""
The base learners of each task.

Each predicts on the scale that is learned: the target or its logarithm, for a binary task the logarithm of the odds. So
an output is always a plain number, which SQL can weigh and turn into the target's own scale.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pyspark.ml.classification import LogisticRegression
from pyspark.ml.regression import LinearRegression, LinearRegressionModel
from pyspark.sql import DataFrame

from apps.trainer import boosted_trees
from apps.trainer.cleaning import INTERNAL
from apps.trainer.features import LEARNED_TARGET, LINEAR_FEATURES
from apps.trainer.settings import TrainerSettings


@dataclass(frozen=True)
class Learner:
    """
    One base learner; its output column is ``_b_<name>``.

    ``fit`` makes a native stage of rows with both vectors and the learned target; ``told`` names the settings it reads.
    """

    name: str
    fit: Callable[[DataFrame, TrainerSettings, str], Any]
    told: tuple[str, ...]

    @property
    def output(self) -> str:
        """The column that the fitted learner adds."""
        return f"{INTERNAL}{self.name}"

    def parameters(self, settings: TrainerSettings) -> dict[str, object]:
        """What MLflow shows of how it was fitted."""
        return {name: getattr(settings, name) for name in self.told}


def of(task: str) -> tuple[Learner, ...]:
    """The base learners of a task."""
    return _BINARY if task == "binary" else _REGRESSION


def _linear_regression(vectors: DataFrame, settings: TrainerSettings, output: str) -> LinearRegressionModel:
    columns = {"featuresCol": LINEAR_FEATURES, "labelCol": LEARNED_TARGET, "predictionCol": output}
    return LinearRegression(**columns, solver="normal", regParam=settings.ridge).fit(vectors)


def _logistic_regression(vectors: DataFrame, settings: TrainerSettings, output: str) -> LinearRegressionModel:
    """The linear part of a logistic regression, since that one's own output is a vector, which no SQL can open."""
    columns = {"featuresCol": LINEAR_FEATURES, "labelCol": LEARNED_TARGET}
    fitted = LogisticRegression(**columns, family="binomial", regParam=settings.ridge).fit(vectors)
    jvm: Any = vectors.sparkSession._jvm  # noqa: SLF001 - the only way to a model that was fitted otherwise
    java = jvm.org.apache.spark.ml.regression.LinearRegressionModel(
        fitted.uid,
        fitted._java_obj.coefficients(),  # noqa: SLF001 - as above
        fitted.intercept,
    )
    linear = LinearRegressionModel._from_java(java)  # noqa: SLF001 - as above
    return linear.setFeaturesCol(LINEAR_FEATURES).setPredictionCol(output)


def _boosting(task: str) -> Learner:
    def fit(vectors: DataFrame, settings: TrainerSettings, output: str) -> Any:
        return boosted_trees.fit(vectors, task, settings, output)

    return Learner("boosted_trees", fit, ("trees", "tree_leaves", "leaf_rows", "seed"))


_REGRESSION = (Learner("linear_regression", _linear_regression, ("ridge",)), _boosting("regression"))
_BINARY = (Learner("logistic_regression", _logistic_regression, ("ridge",)), _boosting("binary"))
