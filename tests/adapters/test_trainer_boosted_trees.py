"""The trees of scikit-learn as a model of a real local Spark."""

import numpy as np
import pytest
from pyspark.ml.linalg import Vectors

from apps.trainer import boosted_trees, session
from apps.trainer.booster import unfitted
from apps.trainer.features import LEARNED_TARGET, TREE_FEATURES
from apps.trainer.settings import TrainerSettings

ROWS, FEATURES = 600, 5


@pytest.fixture(scope="module")
def setup(tmp_path_factory):
    return TrainerSettings(batch="b", spark_master="local[1]", scratch=tmp_path_factory.mktemp("spark"), trees=40)


@pytest.fixture(scope="module")
def spark(setup):
    started = session.start(setup)
    yield started
    started.stop()


def vectors(spark, rows):
    """Rows of features and a learned target."""
    told = [(Vectors.dense(features), float(target)) for features, target in rows]
    return spark.createDataFrame(told, [TREE_FEATURES, LEARNED_TARGET])


def at_the_splits(booster, draw):
    """Random rows, of which each value but a few is a threshold of its feature, or the next number above one."""
    found = [[] for _ in range(FEATURES)]
    for (tree,) in booster._predictors:  # noqa: SLF001 - where scikit-learn has its trees
        for node in tree.nodes[tree.nodes["is_leaf"] == 0]:
            found[node["feature_idx"]].append(node["num_threshold"])
    picked = np.stack([draw.choice([*own, 0.0, -9.0, 9.0], 2000) for own in found], axis=1)
    return np.where(draw.random(picked.shape) < 0.5, picked, np.nextafter(picked, np.inf))


@pytest.mark.parametrize("task", ["regression", "binary"])
def test_spark_predicts_what_the_booster_does(spark, setup, task):
    """To the rounding of a sum: for the rows it was fitted on, and for others whose values lie on a threshold."""
    draw = np.random.default_rng(1)
    features = draw.normal(size=(ROWS, FEATURES))
    features[:, 1] = draw.integers(0, 3, ROWS)  # few values, each of many rows
    target = np.sin(3 * features[:, 0]) + features[:, 1] + 0.1 * draw.normal(size=ROWS)
    target = (target > 1).astype(float) if task == "binary" else target + 1000
    frame = vectors(spark, zip(features, target, strict=True))

    model = boosted_trees.fit(frame, task, setup, "found")

    booster = unfitted(task, setup).fit(features, target)
    asked = np.concatenate([features, at_the_splits(booster, draw)])
    wanted = booster.decision_function(asked) if task == "binary" else booster.predict(asked)
    found = [row["found"] for row in model.transform(vectors(spark, ((row, 0) for row in asked))).collect()]
    assert found == pytest.approx(wanted, rel=1e-12, abs=1e-12)
    assert len(set(found)) > 100
    assert "trees" not in vars(model)  # an object of Python for each takes seconds


def test_a_target_without_a_pattern_becomes_its_mean(spark, setup):
    """Too few rows for one split leave a tree of one leaf, which is a model all the same."""
    frame = vectors(spark, [([place], 2 + place % 2) for place in range(8)])

    model = boosted_trees.fit(frame, "regression", setup, "found")

    assert {2.5} == {row["found"] for row in model.transform(frame).collect()}


def test_of_too_many_rows_some_are_drawn(spark, monkeypatch):
    """As many as fit this process, about, the same again, each with its own target."""
    monkeypatch.setattr(boosted_trees, "MOST_CELLS", 600)
    frame = vectors(spark, (([place, 1], place) for place in range(3000)))

    features, target = boosted_trees.collect(frame, seed=1)

    assert 200 < len(target) < 400
    assert features[:, 0].tolist() == target.tolist()
    assert boosted_trees.collect(frame, seed=1)[1].tolist() == target.tolist()
