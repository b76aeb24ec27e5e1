"""A version is pinned in one place; where a tool needs it in its own file, the two agree."""

import re
import subprocess
import tomllib
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from stack import services
from stack.python_packages import _of_uv

ROOT = Path(services.__file__).parent.parent
JARS = ROOT / "stack" / "jars"
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
