"""The server before it serves: it waits at little cost, and it says what is wrong with its settings or its model."""

import json

import pytest

from apps.common.errors import ModelRefused
from apps.common.model_files import CONTRACT, GOLDEN
from apps.prediction_server.model import foreign_classes, read_checksums


def saved(folder, *classes):
    """A saved pipeline as far as its metadata goes."""
    for place, name in enumerate(classes):
        metadata = folder / f"stages/{place}" / "metadata" / "part-00000"
        metadata.parent.mkdir(parents=True)
        metadata.write_text(name if name.startswith("not") else json.dumps({"class": name}) + "\n")
    return folder


def test_only_classes_of_spark_ml_may_be_loaded(tmp_path):
    """
    A saved pipeline that names another class, or nothing that can be read, is refused before Spark sees it.
    """
    good = ["org.apache.spark.ml.feature.SQLTransformer", "pyspark.ml.pipeline.PipelineModel"]

    assert foreign_classes(saved(tmp_path / "good", *good)) == []
    assert foreign_classes(saved(tmp_path / "bad", *good, "os.system", "not json")) == [
        "stages/2/metadata/part-00000 must name a class of Spark ML; got 'os.system'",
        "stages/3/metadata/part-00000 must name a class of Spark ML; got ''",
    ]
    assert foreign_classes(saved(tmp_path / "trick", "org.apache.spark.mlx.Bad")) != []
    assert foreign_classes(tmp_path / "nothing") == ["nothing must hold a saved Spark pipeline; got no metadata"]


@pytest.mark.parametrize(
    ("manifest", "said"),
    [
        ("[]", "must be a JSON object"),
        ("not json", "must be a JSON object"),
        (json.dumps({CONTRACT: "x", GOLDEN: "x", "../../etc/passwd": "x"}), "paths must stay inside"),
        (json.dumps({CONTRACT: "x", GOLDEN: "x", "/etc/passwd": "x"}), "paths must stay inside"),
        (json.dumps({CONTRACT: "x"}), f"must name {GOLDEN}"),
    ],
)
def test_a_manifest_that_is_none_is_refused(manifest, said):
    """
    Nothing is downloaded by a manifest that is broken, incomplete, or leads out of the model's folder.
    """
    with pytest.raises(ModelRefused, match=said):
        read_checksums(manifest.encode())
