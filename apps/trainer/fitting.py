"""
Fits the learners of one training, on all train rows or fold by fold.

Each fold fits its own feature stages too, so nothing of a scored row reaches what scores it. Rows that more than one
query reads are checkpointed and not only persisted: the plan that led to them, of a hundred columns, would be analysed
again for each of these queries, which takes longer than they do.
"""

import time
from dataclasses import dataclass
from typing import Any

from pyspark.ml import PipelineModel
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F  # noqa: N812 - the name everyone knows it by

from apps.datasets.declaration import Dataset
from apps.trainer import features, learners
from apps.trainer.cleaning import LABEL
from apps.trainer.features import LEARNED_TARGET
from apps.trainer.scoring import score
from apps.trainer.settings import TrainerSettings
from apps.trainer.target_transform import TargetTransform
from apps.trainer.train_set import FOLD, TEST_FOLD


@dataclass(frozen=True)
class FittedLearners:
    """The feature stages and the learners fitted on one set of rows, with each learner's seconds."""

    features: list[Any]
    models: list[Any]
    seconds: list[float]


@dataclass(frozen=True)
class FoldResult:
    """The learners' predictions for the validation rows of one fold, and each learner's metrics on them."""

    oof_predictions: DataFrame
    metrics: list[dict[str, float]]


@dataclass(frozen=True)
class FitContext:
    """What every fit of one training shares; ``rows`` are all cleaned rows with fold and learned target."""

    dataset: Dataset
    settings: TrainerSettings
    rows: DataFrame
    transform: TargetTransform

    @property
    def train_rows(self) -> DataFrame:
        """The rows of all folds: everything but the test rows."""
        return self.rows.where(F.col(FOLD) != TEST_FOLD)

    def prediction(self, output: str) -> Column:
        """The prediction in a learner's output column, or of an expression of some, on the target's own scale."""
        return F.expr(self.transform.sql(output))


def fit(context: FitContext, rows: DataFrame) -> FittedLearners:
    """Fit the feature stages and every learner on ``rows``."""
    stages = features.fit(context.dataset, rows, context.settings)
    columns = LEARNED_TARGET, features.LINEAR_FEATURES, features.TREE_FEATURES
    vectors = PipelineModel(stages).transform(rows).select(*columns).localCheckpoint()
    models, seconds = [], []
    for learner in learners.of(context.dataset.task):
        start = time.monotonic()
        models.append(learner.fit(vectors, context.settings, learner.output))
        seconds.append(time.monotonic() - start)
    return FittedLearners(stages, models, seconds)


def cross_validate(context: FitContext, fold: int) -> FoldResult:
    """Fit on the train rows of every other fold, and score and predict this fold's rows."""
    task = context.dataset.task
    fitted = fit(context, context.train_rows.where(F.col(FOLD) != fold))
    rows = PipelineModel(fitted.features).transform(context.rows.where(F.col(FOLD) == fold))
    columns = LABEL, LEARNED_TARGET, features.LINEAR_FEATURES, features.TREE_FEATURES
    validation_rows = rows.select(*columns).localCheckpoint()  # eager, so that the features are of no learner's seconds
    metrics = []
    for learner, model, seconds in zip(learners.of(task), fitted.models, fitted.seconds, strict=True):
        start = time.monotonic()
        scored = score(task, model.transform(validation_rows), context.prediction(learner.output))
        metrics.append({**scored, "training_seconds": seconds, "validation_seconds": time.monotonic() - start})
    outputs = [learner.output for learner in learners.of(task)]
    predicted = PipelineModel(fitted.models).transform(validation_rows)
    return FoldResult(predicted.select(LABEL, LEARNED_TARGET, *outputs), metrics)
