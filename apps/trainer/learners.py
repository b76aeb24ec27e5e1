"""The base learners and the stacker of each task: which estimator, on which vector, and how its output is read."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pyspark.ml.classification import LogisticRegression, RandomForestClassifier
from pyspark.ml.feature import VectorAssembler, VectorSlicer
from pyspark.ml.functions import vector_to_array
from pyspark.ml.regression import GeneralizedLinearRegression, LinearRegression, RandomForestRegressor
from pyspark.sql import Column
from pyspark.sql import functions as F  # noqa: N812 - the name everyone knows it by

from apps.trainer.cleaning import INTERNAL
from apps.trainer.features import FOREST_FEATURES, LEARNED_TARGET, LINEAR_FEATURES
from apps.trainer.settings import TrainerSettings

STACKED = f"{INTERNAL}stacked"
_PAIRED, _STACK = f"{INTERNAL}paired", f"{INTERNAL}stack"


@dataclass(frozen=True)
class Learner:
    """One base learner; its output column is ``_b_<name>``: a number, or for binary the two probabilities."""

    name: str
    make: Callable[[TrainerSettings], Any]

    @property
    def output(self) -> str:
        """The column that the fitted learner adds."""
        return f"{INTERNAL}{self.name}"


def of(task: str) -> tuple[Learner, ...]:
    """The base learners of a task, in the order that the stacker reads them."""
    return _BINARY if task == "binary" else _REGRESSION


def probability(output: str) -> Column:
    """The probability of class 1 in a classifier's output; for scoring only, as no stage can hold this function."""
    return vector_to_array(F.col(output))[1]


def stack_stages(task: str) -> list[Any]:
    """The stages that turn the base learners' outputs into the stacker's vector, one number for each learner."""
    outputs = [learner.output for learner in of(task)]
    if task == "regression":
        return [VectorAssembler(inputCols=outputs, outputCol=_STACK, handleInvalid="keep")]
    seconds = [2 * place + 1 for place in range(len(outputs))]
    return [
        VectorAssembler(inputCols=outputs, outputCol=_PAIRED, handleInvalid="keep"),
        VectorSlicer(inputCol=_PAIRED, outputCol=_STACK, indices=seconds),
    ]


def stacker(task: str) -> Any:
    """
    A linear model over the out-of-fold predictions.

    For binary it is a logistic regression in its generalized linear form: that one's prediction is the probability
    itself, a plain number, where LogisticRegression gives a vector that no SQL function can open.
    """
    common = {"featuresCol": _STACK, "labelCol": LEARNED_TARGET, "predictionCol": STACKED}
    if task == "regression":
        return LinearRegression(**common, solver="normal", regParam=1e-6)
    return GeneralizedLinearRegression(**common, family="binomial", link="logit", regParam=1e-3)


def _linear_regression(settings: TrainerSettings) -> LinearRegression:
    return LinearRegression(
        featuresCol=LINEAR_FEATURES,
        labelCol=LEARNED_TARGET,
        predictionCol=f"{INTERNAL}linear_regression",
        solver="normal",
        regParam=settings.ridge,
    )


def _forest_regression(settings: TrainerSettings) -> RandomForestRegressor:
    return RandomForestRegressor(
        featuresCol=FOREST_FEATURES,
        labelCol=LEARNED_TARGET,
        predictionCol=f"{INTERNAL}random_forest",
        numTrees=settings.trees,
        maxDepth=settings.tree_depth,
        minInstancesPerNode=settings.leaf_rows,
        seed=settings.seed,
    )


def _logistic_regression(settings: TrainerSettings) -> LogisticRegression:
    return LogisticRegression(
        featuresCol=LINEAR_FEATURES,
        labelCol=LEARNED_TARGET,
        probabilityCol=f"{INTERNAL}logistic_regression",
        rawPredictionCol="",
        predictionCol="",
        family="binomial",
        regParam=settings.ridge,
    )


def _forest_classification(settings: TrainerSettings) -> RandomForestClassifier:
    return RandomForestClassifier(
        featuresCol=FOREST_FEATURES,
        labelCol=LEARNED_TARGET,
        probabilityCol=f"{INTERNAL}random_forest",
        rawPredictionCol="",
        predictionCol="",
        numTrees=settings.trees,
        maxDepth=settings.tree_depth,
        minInstancesPerNode=settings.leaf_rows,
        seed=settings.seed,
    )


_REGRESSION = (Learner("linear_regression", _linear_regression), Learner("random_forest", _forest_regression))
_BINARY = (Learner("logistic_regression", _logistic_regression), Learner("random_forest", _forest_classification))
