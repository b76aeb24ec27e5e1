"""What scikit-learn makes of the features of Baton's trees: a stack as one would build it, and one learner, tuned."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import clone
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestRegressor
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.metrics import r2_score, root_mean_squared_error
from sklearn.model_selection import ParameterSampler
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVR

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
_MARGIN = 0.1  # of the span of the targets: a prediction beyond it is cut, as Baton's is


@dataclass(frozen=True)
class Arrays:
    """
    The train rows (features, learned target, fold) and the test rows (features, label).

    Features are (rows, features), everything else (rows,). ``fold_features`` are the train rows once for each fold, by
    encodings that have not seen it. ``logarithm`` says that the target is learned as its logarithm; the label is in the
    target's unit.
    """

    features: Numbers
    target: Numbers
    fold: npt.NDArray[np.int32]
    fold_features: tuple[Numbers, ...]
    test_features: Numbers
    test_label: Numbers
    logarithm: bool
    seed: int

    def out_of_fold(self, learner: Any) -> Numbers:
        """What a learner predicts for the rows of each fold, fitted to those of the others."""
        predicted = np.empty_like(self.target)
        for number, features in enumerate(self.fold_features):
            held = self.fold == number
            predicted[held] = clone(learner).fit(features[~held], self.target[~held]).predict(features[held])
        return predicted

    def worth(self, predict: Predict) -> tuple[float, float]:
        """The root of the mean squared error on the test rows, in the target's unit, and R2."""
        margin = _MARGIN * float(np.ptp(self.target))
        learned = np.clip(predict(self.test_features), self.target.min() - margin, self.target.max() + margin)
        predicted = np.exp(learned) if self.logarithm else learned
        error = root_mean_squared_error(self.test_label, predicted)
        return float(error), float(r2_score(self.test_label, predicted))


def stacked(arrays: Arrays) -> Predict:
    """Boosting, a forest, a ridge and a linear support vector machine, by default, weighed by what is not fitted."""
    learners = [
        HistGradientBoostingRegressor(random_state=arrays.seed),
        RandomForestRegressor(n_jobs=-1, random_state=arrays.seed),
        make_pipeline(StandardScaler(), Ridge()),
        make_pipeline(StandardScaler(), LinearSVR(loss="squared_epsilon_insensitive", dual=False)),
    ]
    weights = LinearRegression(positive=True)
    weights.fit(np.column_stack([arrays.out_of_fold(one) for one in learners]), arrays.target)
    fitted = [one.fit(arrays.features, arrays.target) for one in learners]

    def predict(features: Numbers) -> Numbers:
        predicted: Numbers = weights.predict(np.column_stack([one.predict(features) for one in fitted]))
        return predicted

    return predict


def tuned_boosting(arrays: Arrays, seconds: float) -> Predict:
    """Boosting with the best settings, by the folds, of those that were tried in ``seconds``: one at the least."""

    def learner(settings: dict[str, Any]) -> Any:
        return HistGradientBoostingRegressor(**settings, early_stopping=False, random_state=arrays.seed)

    until, best, least = time.monotonic() + seconds, dict[str, Any](), np.inf
    for settings in ParameterSampler(SEARCHED, _MOST, random_state=arrays.seed):
        if best and time.monotonic() >= until:
            break
        error = root_mean_squared_error(arrays.target, arrays.out_of_fold(learner(settings)))
        if error < least:
            best, least = settings, error
    fitted: Predict = learner(best).fit(arrays.features, arrays.target).predict
    return fitted
