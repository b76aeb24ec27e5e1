"""The server before it serves: it waits at little cost, and it says what is wrong with its settings or its model."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from apps.common.errors import ModelRefused
from apps.common.waiting import wait_until
from apps.prediction_server.model import CONTRACT, GOLDEN, foreign_classes, read_checksums

ROOT = Path(__file__).parent.parent.parent
MIB = 2**20


def start(folder, **settings):
    """A server with its own ready file."""
    told = {
        "BATON_READY_FILE": str(folder / "told" / "ready.json"),
        "BATON_SCRATCH": str(folder / "scratch"),
        "BATON_SPARK_JARS": str(folder),
        **settings,
    }
    return subprocess.Popen(
        [sys.executable, "-m", "apps.prediction_server"], cwd=ROOT, env=told, stderr=subprocess.PIPE, text=True
    )


def test_a_server_without_a_version_waits_and_takes_next_to_no_memory(tmp_path):
    """
    It says that it waits, has started no JVM, loads neither Spark nor MLflow, and ends at once when told to.
    """
    server = start(tmp_path, BATON_RELEASE="3")
    ready = tmp_path / "told" / "ready.json"
    try:
        wait_until(ready.exists, 20, "the server does not say that it waits")
        process = psutil.Process(server.pid)
        memory, children = process.memory_info().rss, process.children()
        loaded = {Path(one.path).name for one in process.memory_maps() if "pyarrow" in one.path or "numpy" in one.path}
    finally:
        server.send_signal(signal.SIGTERM)
    code = server.wait(5)

    assert json.loads(ready.read_text()) == {"release": 3, "version": "", "state": "waiting"}
    assert memory < 100 * MIB
    assert (children, loaded, code) == ([], set(), 0)


def test_every_bad_setting_is_named_at_once(tmp_path):
    """
    One error tells all that is wrong with the environment, and the exit code says that nothing serves.
    """
    server = start(tmp_path, BATON_RELEASE="two", BATON_TRIGGER="hourly")

    _, said = server.communicate(timeout=20)

    assert server.returncode == 1
    assert "BATON_RELEASE must be" in said
    assert "BATON_TRIGGER must be" in said


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
