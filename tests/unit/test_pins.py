"""A version is pinned in one place; where a tool needs it in its own file, the two agree."""

import re
import subprocess
import tomllib
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from stack import services
from stack.cluster import images
from stack.kind_from_source import versions
from stack.python_packages import _of_uv

ROOT = Path(services.__file__).parent.parent
JARS = ROOT / "stack" / "jars"
DOCKERFILES = {path.parent.name: path.read_text() for path in (ROOT / "stack" / "images").glob("*/Dockerfile")}
POM = "{http://maven.apache.org/POM/4.0.0}"


def pom_versions(name):
    """The version of each artefact that a pom names."""
    dependencies = ET.parse(JARS / name / "pom.xml").getroot().iter(f"{POM}dependency")  # noqa: S314 - our own file
    return {one.findtext(f"{POM}artifactId"): one.findtext(f"{POM}version") for one in dependencies}


@pytest.mark.parametrize(
    ("service", "pom", "artefact"),
    [
        ("kafka", "kafka", "kafka_2.13"),
        ("namenode", "hdfs", "hadoop-hdfs"),
        ("datanode", "hdfs", "hadoop-hdfs"),
    ],
)
def test_a_pom_has_the_version_of_stack_yaml(service, pom, artefact):
    """The jars that Maven resolves are of the version that stack.yaml names."""
    assert services.load().service(service).version == pom_versions(pom)[artefact]


def test_mlflow_is_the_one_of_stack_yaml():
    """The Python requirement of MLflow and stack.yaml name one version."""
    requirements = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]

    assert f"mlflow=={services.load().service('mlflow').version}" in requirements


@pytest.mark.parametrize("name", sorted(pom.parent.name for pom in JARS.glob("*/pom.xml")))
def test_every_jar_has_a_hash(name):
    """Each artefact a pom names stands in SHA256SUMS, and every line there is a hash and a jar."""
    lines = (JARS / name / "SHA256SUMS").read_text().splitlines()
    jars = {line.split()[1] for line in lines}

    assert all(re.fullmatch(r"[0-9a-f]{64}  \S+\.jar", line) for line in lines)
    assert {f"{artefact}-{version}.jar" for artefact, version in pom_versions(name).items()} <= jars


def test_the_launcher_is_valid_bash_and_knows_every_pom():
    """The launcher parses, and resolves each pom there is."""
    launcher = ROOT / "baton"
    checked = subprocess.run(["bash", "-n", launcher], capture_output=True, text=True, check=False)
    resolved = re.search(r"for name in (.*); do \[ -d \"\$\(artefacts", launcher.read_text()).group(1).split()

    assert not checked.stderr
    assert sorted(resolved) == sorted(pom.parent.name for pom in JARS.glob("*/pom.xml"))


def test_the_launcher_finds_uv_with_its_hashes_in_the_lock():
    """What the launcher hands to pip is uv's block of the lock and nothing else."""
    block = _of_uv((ROOT / "requirements.lock").read_text()).splitlines()

    assert block[0].startswith("uv==")
    assert all(line.strip().startswith(("--hash=sha256:", "#")) for line in block[1:])


def test_the_launcher_and_the_project_take_the_pythons_of_stack_yaml():
    """Each version that the launcher names is one of stack.yaml's, and its bounds and the project's are their ends."""
    pythons = services.load().machine.python
    first, last = pythons[0].split(".")[1], pythons[-1].split(".")[1]
    launcher = (ROOT / "baton").read_text()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())

    assert set(re.findall(r"(?<![\d.])3\.\d\d(?![\d.])", launcher)) == set(pythons)
    assert f"not (3, {first}) <= sys.version_info < (3, {int(last) + 1})" in launcher
    assert project["project"]["requires-python"] == f">=3.{first},<3.{int(last) + 1}"
    assert project["tool"]["ruff"]["target-version"] == f"py3{first}"


def test_the_launcher_takes_the_javas_of_stack_yaml():
    """What it looks for, what it installs and what it says are of the versions that stack.yaml names."""
    javas = [str(java) for java in services.load().machine.java]
    launcher = (ROOT / "baton").read_text()

    assert re.findall(r'JAVA_VERSION="\((\d+)\|(\d+)\)', launcher) == [tuple(javas)]
    assert [sorted(found) for found in re.findall(r"openjdk@{(\d+),(\d+)}", launcher)] == [sorted(javas)]
    assert set(re.findall(r"openjdk[-@](\d+)", launcher)) <= set(javas)
    assert f"Java must be {' or '.join(javas)}" in launcher


def test_every_image_has_one_java_and_one_python_of_stack_yaml_on_one_debian():
    """The images' versions are among those of the machine's, and the packages are put where that Python looks."""
    machine = services.load().machine
    text = "\n".join(DOCKERFILES.values())
    (java,) = set(re.findall(r"openjdk-(\d+)-jre", text))
    (python,) = set(re.findall(r"/python(3\.\d+)/", text))

    assert int(java) in machine.java
    assert python == images.PYTHON_VERSION
    assert python in machine.python
    assert set(re.findall(r"^FROM (debian\S+)", text, re.MULTILINE)) == {f"debian:{versions.load().debian}-slim"}


def test_the_images_with_java_begin_alike():
    """One layer serves all three, because the lines that make it are the same."""
    heads = {text[text.index("FROM") : text.index("baton\n") + 6] for text in DOCKERFILES.values() if "openjdk" in text}

    assert len(heads) == 1


def test_the_version_of_kubernetes_stands_in_one_file():
    """Charts, Tiltfile and cluster read it from there."""
    folders = [ROOT / name for name in ("stack", "charts", "tests/charts", "tests/tilt")]
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc"]
    named = [path for path in [*files, ROOT / "Tiltfile"] if versions.load().kubernetes.encode() in path.read_bytes()]

    assert named == [versions.FILE]
