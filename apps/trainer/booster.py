"""Gradient boosting by scikit-learn, as the settings want it; apart from Spark, since a bench fits it without."""

from typing import Any

from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

from apps.trainer.settings import TrainerSettings

RATE = 0.2  # the share of what is left to explain that a tree adds
RIDGE = 1.0  # rows of error 0 that each leaf is held back by


def unfitted(task: str, settings: TrainerSettings) -> Any:
    """The estimator of a task; it splits numbers only, and none of them may be missing."""
    kind = HistGradientBoostingClassifier if task == "binary" else HistGradientBoostingRegressor
    return kind(
        max_iter=settings.trees,
        max_leaf_nodes=settings.tree_leaves,
        min_samples_leaf=settings.leaf_rows,
        learning_rate=RATE,
        l2_regularization=RIDGE,
        early_stopping=False,
        random_state=settings.seed,
    )
