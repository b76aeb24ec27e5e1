"""What scikit-learn makes of arrays, and what of it is shown beside Baton."""

from dataclasses import replace

import numpy as np
import pytest

from apps import datasets
from apps.common.errors import SettingsError
from stack.cli.bench.accuracy import accuracy
from stack.cli.bench.scikit_peers import Arrays, stacked, tuned_boosting


@pytest.fixture(scope="module")
def arrays():
    """A target that follows two of three features, as its logarithm, and little noise."""
    draw = np.random.default_rng(7)
    features = draw.uniform(0, 1, (600, 3))
    target = 9 + features[:, 0] + np.sin(6 * features[:, 1]) + draw.normal(0, 0.05, 600)
    fold = np.arange(500, dtype=np.int32) % 3
    test_label = np.exp(target[500:])
    train = features[:500]
    return Arrays(train, target[:500], fold, (train,) * 3, features[500:], test_label, logarithm=True, seed=1)


def test_what_a_model_is_worth_is_in_the_targets_unit(arrays):
    """One that knows the logarithm is worth all, one that says the mean of the labels nothing."""
    known = np.log(arrays.test_label)
    mean = np.log(arrays.test_label.mean())

    rmse, r2 = arrays.worth(lambda _: known)
    assert rmse < 0.01 * arrays.test_label.mean()
    assert 1 == pytest.approx(r2, abs=1e-3)
    rmse, r2 = arrays.worth(lambda rows: np.full(len(rows), mean))
    assert (arrays.test_label.std(), 0) == pytest.approx((rmse, r2), abs=1e-6)


@pytest.mark.parametrize("fit", [stacked, lambda arrays: tuned_boosting(arrays, 0)], ids=["stacked", "tuned"])
def test_a_peer_learns(arrays, fit):
    """Each explains nearly all of the variance; a search without time still tries one setting."""
    assert arrays.worth(fit(arrays))[1] > 0.9


def test_a_dataset_of_classes_is_refused(monkeypatch):
    """All that is wrong with a dataset is told, before anything is started."""
    sold = replace(datasets.get("boston_housing"), task="binary", load=None)
    monkeypatch.setattr(datasets, "get", lambda _: sold)

    with pytest.raises(SettingsError, match=r"regression; got boston_housing.*; .*rows of its own"):
        accuracy("boston_housing", 1000, as_json=False)
