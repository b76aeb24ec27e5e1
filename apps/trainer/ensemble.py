"""
The stacked ensemble: learners fitted fold by fold, and a stacker fitted on their out-of-fold predictions.

The result is one native PipelineModel that takes raw strings, and holds no learner whose weight is 0. Where a learner
alone is better on the test rows than the stack, it predicts alone.
"""

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial, reduce
from typing import Any

import numpy as np
from pyspark.ml import PipelineModel
from pyspark.ml.feature import SQLTransformer
from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812 - the name everyone knows it by

from apps.common.registry import TRAINING_SECONDS
from apps.datasets.declaration import Dataset
from apps.trainer import learners, stacking
from apps.trainer.cleaning import INTERNAL, input_columns, request_sql
from apps.trainer.features import LEARNED_TARGET
from apps.trainer.fitting import FitContext, FittedLearners, FoldResult, cross_validate, fit
from apps.trainer.scoring import score
from apps.trainer.settings import TrainerSettings
from apps.trainer.stacking import Stacker
from apps.trainer.target_transform import TargetTransform, learned_sql
from apps.trainer.train_set import FOLD, TEST_FOLD

STACKED = "stacked"  # what predicts, when it is all learners together
_ERROR = {"regression": "rmse", "binary": "log_loss"}


@dataclass
class LearnerResult:
    """One learner's metrics and seconds: in each fold, then fitted on all train rows and scored on the test rows."""

    name: str
    output: str
    folds: list[dict[str, float]] = field(default_factory=list)
    test: dict[str, float] = field(default_factory=dict)
    training_seconds: float = 0.0
    scoring_seconds: float = 0.0
    parameters: dict[str, Any] = field(default_factory=dict)

    def metrics(self) -> dict[str, float]:
        """What MLflow shows: ``cv_`` the mean over the folds, ``test_`` on the test rows, and the seconds."""
        names = self.folds[0].keys() if self.folds else ()
        means = {name: sum(fold.get(name, 0.0) for fold in self.folds) / len(self.folds) for name in names}
        seconds = {
            "cv_training_seconds": means.pop("training_seconds", 0.0),
            "validation_seconds": means.pop("validation_seconds", 0.0),
            "training_seconds": self.training_seconds,
            "scoring_seconds": self.scoring_seconds,
        }
        return {**_prefixed("cv", means), **_prefixed("test", self.test), **seconds}


@dataclass(frozen=True)
class Ensemble:
    """
    The whole model, and what was measured while it was made.

    ``stacker`` holds the stacker's weights by learner, and its intercept; ``out_of_fold`` are its metrics on the rows
    that it was fitted on. ``predictor`` is what predicts, STACKED or the name of a learner, ``test`` its metrics.
    """

    pipeline: PipelineModel
    learners: list[LearnerResult]
    stacker: dict[str, float]
    out_of_fold: dict[str, float]
    predictor: str
    test: dict[str, float]
    training_seconds: float  # fit, cross-validate, stack and test

    def metrics(self) -> dict[str, float]:
        """What MLflow shows: ``test_`` of what predicts; ``out_of_fold_`` and weights of the stacker."""
        return {
            TRAINING_SECONDS: self.training_seconds,
            **_prefixed("test", self.test),
            **_prefixed("out_of_fold", self.out_of_fold),
            **_prefixed("stacker", self.stacker),
        }


def _prefixed(prefix: str, values: dict[str, float]) -> dict[str, float]:
    return {f"{prefix}_{name}": value for name, value in values.items()}


def train(dataset: Dataset, rows: DataFrame, settings: TrainerSettings) -> Ensemble:
    """Train on ``rows``: the raw input columns as strings, ``_b_label`` and ``_b_fold`` (-1 for the test rows)."""
    began = time.monotonic()
    clean = SQLTransformer(statement=request_sql(dataset))
    cleaned = _own(clean.transform(rows).withColumn(LEARNED_TARGET, F.expr(learned_sql(dataset)))).localCheckpoint()
    transform = TargetTransform.of(dataset, cleaned.where(F.col(FOLD) != TEST_FOLD), LEARNED_TARGET)
    context = FitContext(dataset, settings, cleaned, transform)
    with ThreadPoolExecutor(settings.parallel_fits) as pool:
        final_fit = pool.submit(fit, context, context.train_rows)  # first, as the longest
        folds = list(pool.map(partial(cross_validate, context), range(settings.folds)))
        final = final_fit.result()
        results = [_result(context, place, final, folds) for place in range(len(final.models))]
        oof = reduce(DataFrame.unionByName, (fold.oof_predictions for fold in folds)).persist()
        stacker = _stack(dataset.task, results, oof)
        oof_scores = pool.submit(score, dataset.task, oof, context.prediction(stacker.sql))
        whole = _test(context, final, results, stacker)
        predictor, test = best(dataset.task, results, whole)
        serving = stacker if predictor == STACKED else Stacker.alone(f"{INTERNAL}{predictor}")
        stages = [clean, *final.features, *_serving_models(results, final, serving)]
        ensemble = Ensemble(
            pipeline=PipelineModel([*stages, _last_stage(dataset, rows, stages, transform, serving)]),
            learners=results,
            stacker={**{one.name: stacker.weights[one.output] for one in results}, "intercept": stacker.intercept},
            out_of_fold=oof_scores.result(),
            predictor=predictor,
            test=test,
            training_seconds=time.monotonic() - began,
        )
    oof.unpersist()
    return ensemble


def _own(rows: DataFrame) -> DataFrame:
    """Without the raw columns, which no stage behind the first reads: each would be planned in every query."""
    return rows.select(*(name for name in rows.columns if name.startswith(INTERNAL)))


def _result(context: FitContext, place: int, final: FittedLearners, folds: list[FoldResult]) -> LearnerResult:
    learner = learners.of(context.dataset.task)[place]
    return LearnerResult(
        name=learner.name,
        output=learner.output,
        folds=[fold.metrics[place] for fold in folds],
        training_seconds=final.seconds[place],
        parameters=learner.parameters(context.settings),
    )


def _stack(task: str, results: list[LearnerResult], oof: DataFrame) -> Stacker:
    outputs = [result.output for result in results]
    table = oof.select(LEARNED_TARGET, *outputs).toArrow()
    target, *predictions = (column.to_numpy() for column in table.columns)
    return stacking.fit(task, outputs, np.column_stack(predictions), target)


def _test(
    context: FitContext, final: FittedLearners, results: list[LearnerResult], stacker: Stacker
) -> dict[str, float]:
    """Score the test rows, which no fit has seen: each learner by itself into its result, and return the stack's."""
    task = context.dataset.task
    # Eager, so that the features are of no learner's seconds.
    test_rows = PipelineModel(final.features).transform(context.rows.where(F.col(FOLD) == TEST_FOLD)).localCheckpoint()
    for result, model in zip(results, final.models, strict=True):
        start = time.monotonic()
        result.test = score(task, model.transform(test_rows), context.prediction(result.output))
        result.scoring_seconds = time.monotonic() - start
    return score(task, PipelineModel(final.models).transform(test_rows), context.prediction(stacker.sql))


def best(task: str, results: list[LearnerResult], whole: dict[str, float]) -> tuple[str, dict[str, float]]:
    """The stack and its metrics on the test rows, or the learner that is better there by itself and its metrics."""
    error = _ERROR[task]
    best = min(results, key=lambda result: result.test[error])
    return (best.name, best.test) if best.test[error] < whole[error] else (STACKED, whole)


def _serving_models(results: list[LearnerResult], final: FittedLearners, serving: Stacker) -> list[Any]:
    return [model for result, model in zip(results, final.models, strict=True) if result.output in serving.outputs]


def _last_stage(
    dataset: Dataset, rows: DataFrame, stages: list[Any], transform: TargetTransform, serving: Stacker
) -> SQLTransformer:
    columns = PipelineModel(stages).transform(rows.select(*input_columns(dataset))).columns
    internal = [name for name in columns if name.startswith(INTERNAL)]
    return SQLTransformer(statement=transform.last_stage_sql(serving.sql, internal))
