"""
The stacked ensemble: learners fitted fold by fold, and a stacker on what they said of rows they had not seen.

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
from apps.trainer.features import Y
from apps.trainer.learners import STACKED
from apps.trainer.link import Link, learned_sql
from apps.trainer.scoring import score
from apps.trainer.settings import TrainerSettings

FOLD = f"{INTERNAL}fold"
TEST_FOLD = -1


@dataclass
class Trial:
    """What one learner did: metrics and seconds in each fold, then on all train rows and on the test rows."""

    name: str
    output: str
    folds: list[dict[str, float]] = field(default_factory=list)
    test: dict[str, float] = field(default_factory=dict)
    training_seconds: float = 0.0
    parameters: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Ensemble:
    """The whole model, and what was measured while it was made."""

    pipeline: PipelineModel
    trials: list[Trial]
    stacker: dict[str, float]
    out_of_fold: dict[str, float]
    test: dict[str, float]


@dataclass(frozen=True)
class _Fit:
    features: list[Any]
    models: list[Any]
    seconds: list[float]


@dataclass(frozen=True)
class _Fold:
    said: DataFrame
    measured: list[dict[str, float]]


@dataclass(frozen=True)
class _Bench:
    """What every fit of one training shares."""

    dataset: Dataset
    settings: TrainerSettings
    rows: DataFrame
    link: Link

    @property
    def known(self) -> DataFrame:
        return self.rows.where(F.col(FOLD) != TEST_FOLD)

    def prediction(self, output: str) -> Column:
        if self.dataset.task == "binary" and output != STACKED:
            return learners.probability(output)
        return F.expr(self.link.sql(output))


def train(dataset: Dataset, rows: DataFrame, settings: TrainerSettings) -> Ensemble:
    """Train on ``rows``: the raw input columns as strings, ``_b_label`` and ``_b_fold`` (-1 for the test rows)."""
    clean = SQLTransformer(statement=request_sql(dataset))
    cleaned = clean.transform(rows).withColumn(Y, F.expr(learned_sql(dataset))).persist()
    link = Link.of(dataset, cleaned.where(F.col(FOLD) != TEST_FOLD), Y)
    bench = _Bench(dataset, settings, cleaned, link)
    with ThreadPoolExecutor(settings.parallel_fits) as pool:
        final = pool.submit(_fit, bench, bench.known)  # first, as the longest
        folds = list(pool.map(partial(_fold, bench), range(settings.folds)))
        fitted = final.result()
        said = reduce(DataFrame.unionByName, (fold.said for fold in folds)).persist()
        stack = learners.stack_stages(dataset.task)
        stacked = learners.stacker(dataset.task).fit(PipelineModel(stack).transform(said))
        body = [*fitted.features, *fitted.models, *stack, stacked]
        trials = [_trial(place, learner, fitted, folds) for place, learner in enumerate(learners.of(dataset.task))]
        test = pool.submit(_test, bench, body, trials)
        again = PipelineModel([*stack, stacked]).transform(said)
        ensemble = Ensemble(
            pipeline=PipelineModel([clean, *body, _last_stage(dataset, rows, [clean, *body], link)]),
            trials=trials,
            stacker=_coefficients(trials, stacked),
            out_of_fold=score(dataset.task, again, bench.prediction(STACKED)),
            test=test.result(),
        )
    said.unpersist()
    cleaned.unpersist()
    return ensemble


def _fit(bench: _Bench, rows: DataFrame) -> _Fit:
    stages = features.fit(bench.dataset, rows, bench.settings)
    ready = PipelineModel(stages).transform(rows).select(Y, features.LINEAR_FEATURES, features.FOREST_FEATURES)
    ready.persist()
    models, seconds = [], []
    for learner in learners.of(bench.dataset.task):
        start = time.monotonic()
        models.append(learner.make(bench.settings).fit(ready))
        seconds.append(time.monotonic() - start)
    ready.unpersist()
    return _Fit(stages, models, seconds)


def _fold(bench: _Bench, fold: int) -> _Fold:
    fitted = _fit(bench, bench.known.where(F.col(FOLD) != fold))
    held = PipelineModel(fitted.features).transform(bench.rows.where(F.col(FOLD) == fold))
    measured = []
    for learner, model, seconds in zip(learners.of(bench.dataset.task), fitted.models, fitted.seconds, strict=True):
        start = time.monotonic()
        found = score(bench.dataset.task, model.transform(held), bench.prediction(learner.output))
        measured.append({**found, "training_seconds": seconds, "validation_seconds": time.monotonic() - start})
    outputs = [learner.output for learner in learners.of(bench.dataset.task)]
    return _Fold(PipelineModel(fitted.models).transform(held).select(LABEL, Y, *outputs), measured)


def _trial(place: int, learner: learners.Learner, fitted: _Fit, folds: list[_Fold]) -> Trial:
    parameters = {param.name: value for param, value in fitted.models[place].extractParamMap().items()}
    return Trial(
        name=learner.name,
        output=learner.output,
        folds=[fold.measured[place] for fold in folds],
        training_seconds=fitted.seconds[place],
        parameters={name: value for name, value in parameters.items() if not name.endswith("Col")},
    )


def _coefficients(trials: list[Trial], stacked: Any) -> dict[str, float]:
    named = {trial.name: float(value) for trial, value in zip(trials, stacked.coefficients, strict=True)}
    return {**named, "intercept": float(stacked.intercept)}


def _last_stage(dataset: Dataset, rows: DataFrame, stages: list[Any], link: Link) -> SQLTransformer:
    added = PipelineModel(stages).transform(rows.select(*input_columns(dataset))).columns
    internal = [name for name in added if name.startswith(INTERNAL)]
    return SQLTransformer(statement=link.last_stage_sql(STACKED, internal))


def _test(bench: _Bench, body: list[Any], trials: list[Trial]) -> dict[str, float]:
    """Score the test rows, that no fit has seen, for the whole and for each learner by itself."""
    outputs = [*(trial.output for trial in trials), STACKED]
    unseen = PipelineModel(body).transform(bench.rows.where(F.col(FOLD) == TEST_FOLD)).select(LABEL, *outputs).persist()
    for trial in trials:
        trial.test = score(bench.dataset.task, unseen, bench.prediction(trial.output))
    whole = score(bench.dataset.task, unseen, bench.prediction(STACKED))
    unseen.unpersist()
    return whole
