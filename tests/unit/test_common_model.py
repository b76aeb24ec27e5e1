"""What is wrong with a version's files is said before Spark may touch them."""

import json

import pytest

from apps.common.errors import ModelRefused
from apps.common.model import Model, foreign_classes, read_checksums, statements
from apps.common.model_files import CONTRACT, GOLDEN

TRANSFORMER = "org.apache.spark.ml.feature.SQLTransformer"


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
    (saved(tmp_path / "local", good[0]) / "metadata").write_text('{"class": "os.system"}')
    assert foreign_classes(tmp_path / "local") == ["metadata must name a class of Spark ML; got 'os.system'"]
    (saved(tmp_path / "two", *good) / "stages/0/metadata/a").write_text('{"class": "os.system"}')
    assert foreign_classes(tmp_path / "two") == [
        "stages/0/metadata must hold one file; got several",
        "stages/0/metadata/a must name a class of Spark ML; got 'os.system'",
    ]
    twice = saved(tmp_path / "twice", good[0]) / "stages/0/metadata/part-00000"
    twice.write_text(f'{{"class": "os.system", "class": "{good[0]}"}}')
    assert foreign_classes(tmp_path / "twice") == ["stages/0/metadata/part-00000 must name a class of Spark ML; got ''"]
    assert foreign_classes(tmp_path / "nothing") == ["nothing must hold a saved Spark pipeline; got no metadata"]


def test_answers_name_a_model_by_the_beginning_of_the_sha256_of_its_manifest(tmp_path):
    """
    Sixteen hex digits: no two versions of a stack have the same.
    """
    assert "0123456789abcdef" == Model("1", tmp_path, "", "0123456789abcdef" * 4).manifest


def test_every_statement_of_a_saved_pipeline_is_found(tmp_path):
    """
    At whatever depth; one that is not where Spark looks first counts as empty, which nobody can read.
    """
    saved(saved(tmp_path, "org.apache.spark.ml.feature.VectorAssembler", TRANSFORMER) / "stages/1", TRANSFORMER)
    stated, default = (tmp_path / f"{folder}/metadata/part-00000" for folder in ("stages/1", "stages/1/stages/0"))
    stated.write_text(json.dumps({"class": TRANSFORMER, "paramMap": {"statement": "a"}}))
    other = "pyspark.ml.feature.SQLTransformer"
    default.write_text(json.dumps({"class": other, "defaultParamMap": {"statement": "b"}}))

    assert {"stages/1/metadata/part-00000": "a", "stages/1/stages/0/metadata/part-00000": ""} == statements(tmp_path)


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
