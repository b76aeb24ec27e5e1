"""
The stacked ensemble: learners fitted fold by fold, and a stacker fitted on their out-of-fold predictions.

Each fold fits its own feature stages too, so nothing of a scored row reaches what scores it. The result is one
native PipelineModel that takes raw strings.
"""

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial, reduce
from typing import Any

from pyspark.ml import PipelineModel
from pyspark.ml.feature import SQLTransformer
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F  # noqa: N812 - the name everyone knows it by

from apps.datasets.declaration import Dataset
from apps.trainer import features, learners
from apps.trainer.cleaning import INTERNAL, LABEL, input_columns, request_sql
from apps.trainer.features import LEARNED_TARGET
from apps.trainer.learners import STACKED
from apps.trainer.scoring import score
from apps.trainer.settings import TrainerSettings
from apps.trainer.target_transform import TargetTransform, learned_sql

FOLD = f"{INTERNAL}fold"
TEST_FOLD = -1


@dataclass
class LearnerResult:
    """One learner's metrics and seconds: in each fold, then fitted on all train rows and scored on the test rows."""

    name: str
    output: str
    folds: list[dict[str, float]] = field(default_factory=list)
    test: dict[str, float] = field(default_factory=dict)
    training_seconds: float = 0.0
    parameters: dict[str, Any] = field(default_factory=dict)


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
        """The prediction in a learner's output column, on the target's own scale."""
        if self.dataset.task == "binary" and output != STACKED:
            return learners.probability(output)
        return F.expr(self.transform.sql(output))


def train(dataset: Dataset, rows: DataFrame, settings: TrainerSettings) -> Ensemble:
    """Train on ``rows``: the raw input columns as strings, ``_b_label`` and ``_b_fold`` (-1 for the test rows)."""
    clean = SQLTransformer(statement=request_sql(dataset))
    cleaned = clean.transform(rows).withColumn(LEARNED_TARGET, F.expr(learned_sql(dataset))).persist()
    transform = TargetTransform.of(dataset, cleaned.where(F.col(FOLD) != TEST_FOLD), LEARNED_TARGET)
    context = FitContext(dataset, settings, cleaned, transform)
    with ThreadPoolExecutor(settings.parallel_fits) as pool:
        final_fit = pool.submit(_fit, context, context.train_rows)  # first, as the longest
        folds = list(pool.map(partial(_cross_validate, context), range(settings.folds)))
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
        )
    stacked_oof.unpersist()
    cleaned.unpersist()
    return ensemble


def _fit(context: FitContext, rows: DataFrame) -> FittedLearners:
    stages = features.fit(context.dataset, rows, context.settings)
    columns = LEARNED_TARGET, features.LINEAR_FEATURES, features.FOREST_FEATURES
    vectors = PipelineModel(stages).transform(rows).select(*columns).persist()
    models, seconds = [], []
    for learner in learners.of(context.dataset.task):
        start = time.monotonic()
        models.append(learner.make(context.settings).fit(vectors))
        seconds.append(time.monotonic() - start)
    vectors.unpersist()
    return FittedLearners(stages, models, seconds)


def _cross_validate(context: FitContext, fold: int) -> FoldResult:
    """Fit on the train rows of every other fold, and score and predict this fold's rows."""
    task = context.dataset.task
    fitted = _fit(context, context.train_rows.where(F.col(FOLD) != fold))
    validation_rows = PipelineModel(fitted.features).transform(context.rows.where(F.col(FOLD) == fold))
    metrics = []
    for learner, model, seconds in zip(learners.of(task), fitted.models, fitted.seconds, strict=True):
        start = time.monotonic()
        scored = score(task, model.transform(validation_rows), context.prediction(learner.output))
        metrics.append({**scored, "training_seconds": seconds, "validation_seconds": time.monotonic() - start})
    outputs = [learner.output for learner in learners.of(task)]
    predicted = PipelineModel(fitted.models).transform(validation_rows)
    return FoldResult(predicted.select(LABEL, LEARNED_TARGET, *outputs), metrics)


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
