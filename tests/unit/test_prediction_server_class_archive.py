"""When a JVM is told of an archive of classes, and the class path that it is of."""

import shlex

import pyspark
import pytest

from apps.prediction_server import class_archive
from apps.prediction_server.class_archive import class_path, java_option, make


@pytest.fixture
def archive(tmp_path):
    """A file that is whole, in a folder with a blank in its name."""
    file = tmp_path / "my cache" / "spark.jsa"
    file.parent.mkdir()
    file.write_bytes(b"classes")
    file.with_name("spark.jsa.size").write_text("7")
    return file


def test_a_whole_archive_is_one_option(archive):
    """Spark splits the list of options into words, and this is one of them."""
    assert [f"-XX:SharedArchiveFile={archive}"] == shlex.split(java_option(archive))


@pytest.mark.parametrize("size", ["8", "", "seven", None])
def test_an_archive_that_is_not_whole_is_none(archive, size):
    """A JVM that maps a file cut short is killed by it."""
    noted = archive.with_name("spark.jsa.size")
    noted.unlink() if size is None else noted.write_text(size)

    assert java_option(archive) == ""


@pytest.mark.parametrize("name", ["nothing.jsa", ""])
def test_without_an_archive_there_is_no_option(tmp_path, name):
    """One that is missing, and the folder that an empty setting means, cost a JVM even the archive it comes with."""
    assert java_option(tmp_path / name if name else None) == ""


def test_the_class_path_is_the_same_whatever_the_file_system_says(tmp_path, monkeypatch):
    """The connector's jars come first, then Spark's, each in the order of their names."""
    for folder, names in {"own": ("z", "b"), "pyspark/jars": ("y", "a")}.items():
        (tmp_path / folder).mkdir(parents=True)
        for name in names:
            (tmp_path / folder / f"{name}.jar").touch()
    monkeypatch.setattr(pyspark, "__file__", str(tmp_path / "pyspark" / "__init__.py"))

    assert ["b.jar", "z.jar", "a.jar", "y.jar"] == [
        path.rpartition("/")[2] for path in class_path(tmp_path / "own").split(":")
    ]


def test_a_class_path_that_no_command_line_holds_is_left_to_java(tmp_path, monkeypatch):
    """Spark's own ``jars/*`` stands behind it anyway."""
    (tmp_path / "a.jar").touch()
    monkeypatch.setattr(class_archive, "LONGEST", 200)

    assert str(tmp_path / "a.jar") == class_path(tmp_path)


@pytest.mark.parametrize("name", ["my jars", "bätön", "100%", "#1"])
def test_of_jars_in_an_odd_path_none_is_made(tmp_path, name):
    """Java would write one without a class of these jars, map it, and be no faster."""
    with pytest.raises(SystemExit, match=f"must lie in a path of plain characters .* got .*{name}"):
        make(tmp_path / name, tmp_path / "archive" / "spark.jsa")

    assert not (tmp_path / "archive").exists()
