"""What scikit-learn makes of the features of Baton's trees: a stack as one would build it, and one learner, tuned."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestRegressor, StackingRegressor
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.metrics import r2_score, root_mean_squared_error
from sklearn.model_selection import ParameterSampler, PredefinedSplit, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVR

from apps.trainer.boosted_trees import collect
from apps.trainer.cleaning import LABEL
from apps.trainer.train_set import FOLD, TEST_FOLD

Numbers = npt.NDArray[np.float64]
Predict = Callable[[Numbers], Numbers]
SEARCHED = {
    "max_iter": [60, 120, 240, 480],
    "learning_rate": [0.05, 0.1, 0.2],
    "max_leaf_nodes": [15, 31, 63],
    "min_samples_leaf": [10, 20, 50],
    "l2_regularization": [0.0, 1.0, 10.0],
}
_MOST = 200  # settings that are tried


@dataclass(frozen=True)
class Arrays:
    """
    The train rows (features, learned target, fold) and the test rows (features, label).

    Features are (rows, features), everything else (rows,); ``logarithm`` says that the target is learned as its
    logarithm. The label is in the target's unit.
    """

    features: Numbers
    target: Numbers
    fold: npt.NDArray[np.int32]
    test_features: Numbers
    test_label: Numbers
    logarithm: bool
    seed: int

    @classmethod
    def of(cls, rows: Any, *, logarithm: bool, seed: int) -> Self:
        """From Spark's rows with features, learned target, label and fold; of very many train rows some are drawn."""
        train, test = (rows.where(f"{FOLD} {sign} {TEST_FOLD}").persist() for sign in ("!=", "="))
        features, target = collect(train, seed)
        fold = train.select(FOLD).toArrow()[0].to_numpy()
        label = test.select(LABEL).toArrow()[0].to_numpy()
        if len(fold) != len(target):  # those drawn are of any fold
            fold = np.arange(len(target), dtype=np.int32) % (1 + fold.max())
        return cls(features, target, fold, collect(test, seed)[0], label, logarithm, seed)

    def worth(self, predict: Predict) -> tuple[float, float]:
        """The root of the mean squared error on the test rows, in the target's unit, and R2."""
        learned = np.clip(predict(self.test_features), self.target.min(), self.target.max())
        predicted = np.exp(learned) if self.logarithm else learned
        return (
            float(root_mean_squared_error(self.test_label, predicted)),
            float(r2_score(self.test_label, predicted)),
        )


def stacked(arrays: Arrays) -> Predict:
    """StackingRegressor of boosting, a forest, a ridge and a linear support vector machine, on Baton's folds."""
    learners = [
        ("boosting", HistGradientBoostingRegressor(random_state=arrays.seed)),
        ("forest", RandomForestRegressor(n_jobs=-1, random_state=arrays.seed)),
        ("ridge", make_pipeline(StandardScaler(), Ridge())),
        ("svm", make_pipeline(StandardScaler(), LinearSVR(loss="squared_epsilon_insensitive", dual=False))),
    ]
    whole = StackingRegressor(learners, LinearRegression(positive=True), cv=PredefinedSplit(arrays.fold))
    fitted: Predict = whole.fit(arrays.features, arrays.target).predict
    return fitted


def tuned_boosting(arrays: Arrays, seconds: float) -> Predict:
    """Boosting with the best settings, by Baton's folds, of those that were tried in ``seconds``."""
    until, best, error = time.monotonic() + seconds, dict[str, Any](), np.inf
    for settings in ParameterSampler(SEARCHED, _MOST, random_state=arrays.seed):
        if best and time.monotonic() >= until:
            break
        learner = HistGradientBoostingRegressor(**settings, early_stopping=False, random_state=arrays.seed)
        folds = PredefinedSplit(arrays.fold)
        scores = cross_val_score(
            learner, arrays.features, arrays.target, scoring="neg_root_mean_squared_error", cv=folds
        )
        if -scores.mean() < error:
            best, error = settings, -scores.mean()
    learner = HistGradientBoostingRegressor(**best, early_stopping=False, random_state=arrays.seed)
    fitted: Predict = learner.fit(arrays.features, arrays.target).predict
    return fitted
