"""
Gradient-boosted trees: fitted by scikit-learn in this process, served by Spark as a model of its own.

Spark's own boosting takes a job for each level of each tree; scikit-learn's, which is that of LightGBM, fits two
hundred trees in the time of two of those. Both ask ``value <= threshold`` of doubles at a node and add up leaves, so
the trees can be handed over as they are: as the files of a GBTRegressionModel in Spark's local format, which Spark then
reads. From there on it is a native stage like any other.
"""

import json
import struct
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyspark
from pyspark.ml.functions import vector_to_array
from pyspark.ml.regression import GBTRegressionModel
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812 - the name everyone knows it by
from threadpoolctl import threadpool_limits

from apps.trainer.booster import unfitted
from apps.trainer.features import LEARNED_TARGET, TREE_FEATURES
from apps.trainer.settings import TrainerSettings

MOST_CELLS = 10_000_000  # 80 MB: what one fit takes into this process, twice for a moment; of more rows some are drawn
Numbers = npt.NDArray[np.float64]
_SPARK = "org.apache.spark.ml.regression."
_NO_NODE = -1


class _Model(GBTRegressionModel):  # type: ignore[misc]
    """Whenever PySpark lists a model's parameters it makes a Python object of each tree; not of this one's."""

    trees = property(GBTRegressionModel.trees.func)


def fit(vectors: DataFrame, task: str, settings: TrainerSettings, output: str) -> GBTRegressionModel:
    """
    Fit to the learned target; ``output`` is the column of a prediction, for a binary task the logarithm of the odds.

    It takes one thread: the fits of a training run side by side. The same rows in the same order give the same model.
    """
    features, target = collect(vectors, settings.seed)
    with threadpool_limits(1, user_api="openmp"):
        booster = unfitted(task, settings).fit(features, target)
    return native(vectors.sparkSession, booster, TREE_FEATURES, output, settings.scratch)


def collect(vectors: DataFrame, seed: int) -> tuple[Numbers, Numbers]:
    """The features, one row each, and the learned target; of more than MOST_CELLS cells about as many, drawn by row."""
    each = vectors.select(vector_to_array(TREE_FEATURES).alias("cells"), LEARNED_TARGET)
    cells = each.agg(F.sum(F.size("cells"))).first()[0]
    drawn = each.sample(MOST_CELLS / cells, seed) if cells > MOST_CELLS else each
    table = drawn.toArrow()
    target: Numbers = table[1].to_numpy()
    features: Numbers = table[0].combine_chunks().flatten().to_numpy()
    return features.reshape(len(target), -1), target


def native(spark: SparkSession, booster: Any, features: str, output: str, scratch: Path) -> GBTRegressionModel:
    """
    The model of Spark that predicts ``booster``'s raw score into ``output`` from the vector ``features``.

    Where the booster begins (the mean, or the logarithm of the odds) is a first tree of one leaf.
    """
    trees = [_leaf(float(booster._baseline_prediction.item()))]  # noqa: SLF001 - where alone scikit-learn has it
    trees += [nodes_of(predictor.nodes) for (predictor,) in booster._predictors]  # noqa: SLF001 - as above
    own = {"featuresCol": features, "labelCol": LEARNED_TARGET, "predictionCol": output}
    more = {"numFeatures": booster.n_features_in_, "numTrees": len(trees)}
    described = [_metadata("DecisionTreeRegressionModel", f"tree_{place}", own) for place in range(len(trees))]
    nodes = [struct.pack(">i", place) + node for place, tree in enumerate(trees) for node in tree]
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        Path(folder, "metadata").write_bytes(_metadata("GBTRegressionModel", "boosted_trees", own, **more))
        Path(folder, "treesMetadata").write_bytes(_array(map(_described, range(len(trees)), described)))
        Path(folder, "data").write_bytes(_array(nodes))
        jvm: Any = spark._jvm  # noqa: SLF001 - the local format has no name in PySpark
        loaded = jvm.org.apache.spark.ml.regression.GBTRegressionModel.read().loadFromLocal(folder)
    return _Model(loaded)


def nodes_of(tree: npt.NDArray[Any]) -> list[bytes]:
    """A tree of scikit-learn, node by node as Spark writes it; in both a node stands before its children."""
    if tree["is_categorical"].any():
        raise ValueError("a split must be of a number; got one of a category")
    places = zip(
        *(tree[name].tolist() for name in ("is_leaf", "value", "left", "right", "feature_idx", "num_threshold")),
        strict=True,
    )
    return [
        _node(own, value) if is_leaf else _node(own, value, (left, right), (feature, threshold))
        for own, (is_leaf, value, left, right, feature, threshold) in enumerate(places)
    ]


def _leaf(value: float) -> list[bytes]:
    return [_node(0, value)]


def _node(
    own: int,
    value: float,
    children: tuple[int, int] = (_NO_NODE, _NO_NODE),
    split: tuple[int, float] | None = None,
) -> bytes:
    """
    Number, prediction, impurity and its three statistics, rows, gain, children, and the split: feature and threshold.

    What only a fit reads (impurity, statistics, rows, gain) is 0.
    """
    measured = struct.pack(">iddi3dqd", own, value, 0.0, 3, 0.0, 0.0, 0.0, 0, 0.0)
    feature, thresholds = (_NO_NODE, ()) if split is None else (split[0], split[1:])
    asked = struct.pack(f">ii{len(thresholds)}di", feature, len(thresholds), *thresholds, -1)
    return measured + struct.pack(">ii", *children) + asked


def _described(place: int, metadata: bytes) -> bytes:
    """Number, metadata and weight of a tree."""
    return struct.pack(">iH", place, len(metadata)) + metadata + struct.pack(">d", 1.0)


def _array(elements: Iterable[bytes]) -> bytes:
    """An array as Spark's local format has it: how many, then each."""
    written = list(elements)
    return struct.pack(">i", len(written)) + b"".join(written)


def _metadata(kind: str, uid: str, parameters: dict[str, str], **more: int) -> bytes:
    known = {"class": f"{_SPARK}{kind}", "timestamp": 0, "sparkVersion": pyspark.__version__, "uid": uid}
    return json.dumps({**known, "paramMap": parameters, "defaultParamMap": {"impurity": "variance"}, **more}).encode()
