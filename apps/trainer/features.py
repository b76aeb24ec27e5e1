"""
The fitted feature stages: categories to numbers, missing values imputed, and one vector for each learner.

Everything a stage learns (labels, target means, medians) comes from the rows it is given, so that a fold's stages
never see the rows that the fold is scored on.
"""

from dataclasses import dataclass
from typing import Any

from pyspark.ml.feature import OneHotEncoder, SQLTransformer, StringIndexer, TargetEncoder, VectorAssembler
from pyspark.sql import DataFrame

from apps.common.sql_text import quoted
from apps.datasets.declaration import Dataset
from apps.trainer.cleaning import CATEGORY, INTERNAL, LARGEST, NUMBER, categories_of, double
from apps.trainer.settings import TrainerSettings

LEARNED_TARGET = f"{INTERNAL}y"  # what the learners learn: the target, or its logarithm
LINEAR_FEATURES, TREE_FEATURES = f"{INTERNAL}linear_features", f"{INTERNAL}tree_features"
_INDEX, _HOT, _MEAN = f"{INTERNAL}i_", f"{INTERNAL}h_", f"{INTERNAL}m_"
_IMPUTED, _ENCODED = f"{INTERNAL}f_", f"{INTERNAL}e_"


@dataclass(frozen=True)
class FeaturePlan:
    """The names that pass from stage to stage, taken from the declaration."""

    numbers: tuple[str, ...]
    categories: tuple[str, ...]
    one_hot: tuple[str, ...]
    target_encoded: tuple[str, ...]
    target_type: str

    @classmethod
    def of(cls, dataset: Dataset) -> "FeaturePlan":
        """The plan of a dataset."""
        kind = "binary" if dataset.task == "binary" else "continuous"
        return cls(tuple(dataset.numeric), categories_of(dataset), dataset.one_hot, dataset.target_encoded, kind)


def fit(dataset: Dataset, rows: DataFrame, settings: TrainerSettings) -> list[Any]:
    """Fit the stages on ``rows`` (first stage applied, with the column ``_b_y``), in the order they run."""
    plan = FeaturePlan.of(dataset)
    stages = [*_fit_categories(plan, rows, settings), _impute(plan, rows), *_assemble(plan)]
    return [stage for stage in stages if stage is not None]


def _fit_categories(plan: FeaturePlan, rows: DataFrame, settings: TrainerSettings) -> list[Any]:
    """Index every category, then encode; an unknown or missing one has its own index, never an error."""
    if not plan.categories:
        return []
    indexer = StringIndexer(
        inputCols=[CATEGORY + name for name in plan.categories],
        outputCols=[_INDEX + name for name in plan.categories],
        handleInvalid="keep",
    ).fit(rows)
    indexed = indexer.transform(rows)
    encoder = TargetEncoder(
        inputCols=[_INDEX + name for name in plan.categories],
        outputCols=[_MEAN + name for name in plan.categories],
        labelCol=LEARNED_TARGET,
        handleInvalid="keep",
        targetType=plan.target_type,
        smoothing=settings.target_smoothing,
    ).fit(indexed)
    if not plan.one_hot:
        return [indexer, encoder]
    hot = OneHotEncoder(
        inputCols=[_INDEX + name for name in plan.one_hot],
        outputCols=[_HOT + name for name in plan.one_hot],
        handleInvalid="keep",
    ).fit(indexed)
    return [indexer, encoder, hot]


def _impute(plan: FeaturePlan, rows: DataFrame) -> SQLTransformer | None:
    """
    Put the median in place of a missing number, and make the target means plain numbers.

    Target means still carry the metadata of the index they came from, with one value per category; adding zero drops
    it.
    """
    medians = _medians(plan, rows)
    imputed = [f"coalesce({_finite(n)}, {double(medians[n])}) AS {quoted(_IMPUTED + n)}" for n in plan.numbers]
    encoded = [f"{quoted(_MEAN + name)} + 0D AS {quoted(_ENCODED + name)}" for name in plan.categories]
    return SQLTransformer(statement=f"SELECT *, {', '.join([*imputed, *encoded])} FROM __THIS__")  # noqa: S608 - declared names


def _finite(name: str) -> str:
    column = quoted(NUMBER + name)
    return f"CASE WHEN abs({column}) <= {double(LARGEST)} THEN {column} END"


def _medians(plan: FeaturePlan, rows: DataFrame) -> dict[str, float]:
    if not plan.numbers:
        return {}
    medians = rows.selectExpr(*(f"percentile_approx({_finite(name)}, 0.5)" for name in plan.numbers)).first()
    return {name: 0.0 if value is None else float(value) for name, value in zip(plan.numbers, medians, strict=True)}


def _assemble(plan: FeaturePlan) -> list[VectorAssembler]:
    """Linear: numbers, one column per value of a small category, target means of a large one. Trees: all means."""
    imputed = [_IMPUTED + name for name in plan.numbers]
    linear = [*imputed, *(_HOT + name for name in plan.one_hot), *(_ENCODED + name for name in plan.target_encoded)]
    trees = [*imputed, *(_ENCODED + name for name in plan.categories)]
    return [
        VectorAssembler(inputCols=linear, outputCol=LINEAR_FEATURES, handleInvalid="keep"),
        VectorAssembler(inputCols=trees, outputCol=TREE_FEATURES, handleInvalid="keep"),
    ]
