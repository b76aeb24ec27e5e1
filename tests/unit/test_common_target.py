"""What a release serves, on its way from the registry to the server."""

import pytest

from apps.common.registry import Version
from apps.common.settings import load
from apps.common.target import Target
from apps.prediction_server.settings import ServerSettings

SHA256 = "a" * 64


@pytest.mark.parametrize("target", [Target("cars", "7", "run", SHA256), Target("cars", "7")])
def test_a_server_is_told_what_the_release_names(monkeypatch, tmp_path, target):
    """
    The variables that a roll-out gives are those that the server reads; what is not known stays so.
    """
    told = {"BATON_READY_FILE": str(tmp_path), "BATON_SCRATCH": str(tmp_path), "BATON_SPARK_JARS": str(tmp_path)}
    for name, value in (told | target.variables()).items():
        monkeypatch.setenv(name, value)

    assert target == load(ServerSettings).target


def test_a_server_that_is_told_a_version_alone_takes_it_of_the_stacks_model(monkeypatch, tmp_path):
    """
    As a release of an earlier Baton tells it, and an app that is run by hand.
    """
    for name in ("READY_FILE", "SCRATCH", "SPARK_JARS"):
        monkeypatch.setenv(f"BATON_{name}", str(tmp_path))
    monkeypatch.setenv("BATON_DATASET", "boston_housing")
    monkeypatch.setenv("BATON_MODEL_VERSION", "7")

    assert Target("baton.boston_housing", "7") == load(ServerSettings).target


@pytest.mark.parametrize(("tags", "sha256"), [({"manifest_sha256": SHA256, "batch": "b"}, SHA256), ({}, "")])
def test_a_registered_version_is_a_target_by_its_tag(tags, sha256):
    """
    A version from before there was the tag has no sha256.
    """
    assert Target("cars", "7", "run", sha256) == Version("cars", "7", "run", tags).target
