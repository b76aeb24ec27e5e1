"""
The stacked ensemble: learners fitted fold by fold, and a stacker fitted on their out-of-fold predictions.

The result is one native PipelineModel that takes raw strings.
"""

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial, reduce
from typing import Any

from pyspark.ml import PipelineModel
from pyspark.ml.feature import SQLTransformer
from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812 - the name everyone knows it by

from apps.common.registry import TRAINING_SECONDS
from apps.datasets.declaration import Dataset
from apps.trainer import learners
from apps.trainer.cleaning import INTERNAL, LABEL, input_columns, request_sql
from apps.trainer.features import LEARNED_TARGET
from apps.trainer.fitting import FitContext, FittedLearners, FoldResult, cross_validate, fit
from apps.trainer.learners import STACKED
from apps.trainer.scoring import score
from apps.trainer.settings import TrainerSettings
from apps.trainer.target_transform import TargetTransform, learned_sql
from apps.trainer.train_set import FOLD, TEST_FOLD


@dataclass
class LearnerResult:
    """One learner's metrics and seconds: in each fold, then fitted on all train rows and scored on the test rows."""

    name: str
    output: str
    folds: list[dict[str, float]] = field(default_factory=list)
    test: dict[str, float] = field(default_factory=dict)
    training_seconds: float = 0.0
    parameters: dict[str, Any] = field(default_factory=dict)

    def metrics(self) -> dict[str, float]:
        """What MLflow shows: ``cv_`` the mean over the folds, ``test_`` on the test rows, and the seconds."""
        names = self.folds[0].keys() if self.folds else ()
        means = {name: sum(fold.get(name, 0.0) for fold in self.folds) / len(self.folds) for name in names}
        seconds = {
            "cv_training_seconds": means.pop("training_seconds", 0.0),
            "validation_seconds": means.pop("validation_seconds", 0.0),
            "training_seconds": self.training_seconds,
        }
        return {**_prefixed("cv", means), **_prefixed("test", self.test), **seconds}


@dataclass(frozen=True)
class Ensemble:
    """
    The whole model, and what was measured while it was made.

    ``stacker`` holds the stacker's coefficients; ``out_of_fold`` and ``test`` are metrics of the whole on these rows.
    """

    pipeline: PipelineModel
    learners: list[LearnerResult]
    stacker: dict[str, float]
    out_of_fold: dict[str, float]
    test: dict[str, float]
    training_seconds: float  # fit, cross-validate, stack and test

    def metrics(self) -> dict[str, float]:
        """What MLflow shows: the whole on the test rows, and the stacker on the out-of-fold rows it was fitted on."""
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
    cleaned = clean.transform(rows).withColumn(LEARNED_TARGET, F.expr(learned_sql(dataset))).persist()
    transform = TargetTransform.of(dataset, cleaned.where(F.col(FOLD) != TEST_FOLD), LEARNED_TARGET)
    context = FitContext(dataset, settings, cleaned, transform)
    with ThreadPoolExecutor(settings.parallel_fits) as pool:
        final_fit = pool.submit(fit, context, context.train_rows)  # first, as the longest
        folds = list(pool.map(partial(cross_validate, context), range(settings.folds)))
        final = final_fit.result()
        stacked_oof = reduce(DataFrame.unionByName, (fold.oof_predictions for fold in folds)).persist()
        stack = learners.stack_stages(dataset.task)
        stacker = learners.stacker(dataset.task).fit(PipelineModel(stack).transform(stacked_oof))
        body = [*final.features, *final.models, *stack, stacker]
        results = [_result(place, learner, final, folds) for place, learner in enumerate(learners.of(dataset.task))]
        test = pool.submit(_test, context, body, results)
        oof_scored = PipelineModel([*stack, stacker]).transform(stacked_oof)
        ensemble = Ensemble(
            pipeline=PipelineModel([clean, *body, _last_stage(dataset, rows, [clean, *body], transform)]),
            learners=results,
            stacker=_coefficients(results, stacker),
            out_of_fold=score(dataset.task, oof_scored, context.prediction(STACKED)),
            test=test.result(),
            training_seconds=time.monotonic() - began,
        )
    stacked_oof.unpersist()
    cleaned.unpersist()
    return ensemble


def _result(place: int, learner: learners.Learner, final: FittedLearners, folds: list[FoldResult]) -> LearnerResult:
    parameters = {param.name: value for param, value in final.models[place].extractParamMap().items()}
    return LearnerResult(
        name=learner.name,
        output=learner.output,
        folds=[fold.metrics[place] for fold in folds],
        training_seconds=final.seconds[place],
        parameters={name: value for name, value in parameters.items() if not name.endswith("Col")},
    )


def _coefficients(results: list[LearnerResult], stacker: Any) -> dict[str, float]:
    named = {result.name: float(value) for result, value in zip(results, stacker.coefficients, strict=True)}
    return {**named, "intercept": float(stacker.intercept)}


def _last_stage(dataset: Dataset, rows: DataFrame, stages: list[Any], transform: TargetTransform) -> SQLTransformer:
    columns = PipelineModel(stages).transform(rows.select(*input_columns(dataset))).columns
    internal = [name for name in columns if name.startswith(INTERNAL)]
    return SQLTransformer(statement=transform.last_stage_sql(STACKED, internal))


def _test(context: FitContext, body: list[Any], results: list[LearnerResult]) -> dict[str, float]:
    """Score the test rows, which no fit has seen: each learner by itself into its result, and return the whole's."""
    task, outputs = context.dataset.task, [*(result.output for result in results), STACKED]
    test_rows = context.rows.where(F.col(FOLD) == TEST_FOLD)
    predicted = PipelineModel(body).transform(test_rows).select(LABEL, *outputs).persist()
    for result in results:
        result.test = score(task, predicted, context.prediction(result.output))
    whole = score(task, predicted, context.prediction(STACKED))
    predicted.unpersist()
    return whole
