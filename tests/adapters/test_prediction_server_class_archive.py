"""A real archive of classes: made, mapped by the JVM of a server's session, and taken for none beside other jars."""

import shutil
import subprocess
import sys

import pytest

from stack.environment import ROOT, inherited
from stack.java import jars

pytestmark = pytest.mark.long  # a minute or two to make one; an image is not made without

CONNECTOR = jars("spark-kafka")
STARTS = """
import sys
from pathlib import Path
from apps.prediction_server import class_archive, session
from apps.prediction_server.settings import RescoreSettings
scratch, jars, archive = map(Path, sys.argv[1:4])
told = RescoreSettings(
    versions="", out=scratch, scratch=scratch, spark_jars=jars, class_archive=archive, compiler=sys.argv[4]
)
session.start(told, "test").range(3).count()
for thread in Path(f"/proc/{session.jvm().pid}/task").glob("*"):
    if (thread / "comm").read_text().startswith("C2"):
        print("priority", (thread / "stat").read_text().rpartition(")")[2].split()[16])
print("mapped", class_archive.is_mapped(archive))
"""


def run(*command):
    """Run a program of Python's to its end, as the stack does; what it printed."""
    environment = {**inherited(), "PYTHONPATH": str(ROOT), "SPARK_LOCAL_IP": "127.0.0.1"}
    done = subprocess.run(
        [sys.executable, *map(str, command)], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def starts(folder, connector, archive, compiler="quick"):
    """Start a session in a process of its own; the priority of its thorough compiler, if any, and what it maps."""
    lines = run("-c", STARTS, folder / "scratch", connector, archive, compiler).splitlines()
    return [line for line in lines if line.startswith(("priority ", "mapped "))]  # Java may say something before


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """An archive, made as the stack makes it."""
    file = tmp_path_factory.mktemp("cache") / "archive" / "spark.jsa"
    run("-m", "apps.prediction_server.class_archive", CONNECTOR, file)
    return file


def test_a_session_maps_the_archive(archive, tmp_path):
    """Same Java, same jars: the JVM reads its classes from the archive, and nothing that it was made with is left."""
    assert ["mapped True"] == starts(tmp_path, CONNECTOR, archive)
    assert {"spark.jsa", "spark.jsa.size"} == {path.name for path in archive.parent.iterdir()}


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has a priority for each thread")
def test_the_thorough_compiler_stands_behind_all_others(archive, tmp_path):
    """It has the lowest priority there is; its JVM maps what one without it has archived."""
    assert ["priority 19", "mapped True"] == starts(tmp_path, CONNECTOR, archive, "thorough")


def test_beside_other_jars_a_session_starts_without_it_and_that_is_seen(archive, tmp_path):
    """The connector in another folder is another class path: no error, no word of Java's, and not mapped."""
    other = shutil.copytree(CONNECTOR, tmp_path / "jars")

    assert ["mapped False"] == starts(tmp_path, other, archive)


def test_an_archive_cut_short_does_not_end_a_session(archive, tmp_path):
    """Java itself would be ended by it, so it is not told of it."""
    cut = tmp_path / "spark.jsa"
    cut.write_bytes(archive.read_bytes()[:100_000])
    shutil.copy(archive.with_name("spark.jsa.size"), tmp_path)

    assert ["mapped False"] == starts(tmp_path, CONNECTOR, cut)
