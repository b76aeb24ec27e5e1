"""kind, helm and kubectl: where they are found, and what they are told whatever the shell says."""

import pytest
import yaml

from apps.common.errors import SettingsError, Unavailable
from stack import cache
from stack.cluster import kind_config, programs
from stack.cluster.node import Node
from stack.kind_from_source import handover, versions
from stack.kind_from_source import programs as made_programs

FAKE = """#!/bin/sh
echo "$@" "$KIND_EXPERIMENTAL_PROVIDER" "$KIND_CLUSTER_NAME" >>{log}
exit {code}
"""


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """An empty cache, and a shell whose path has nothing of ours."""
    monkeypatch.setenv("BATON_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path / "none"))
    return tmp_path


def install(place, name, text="#!/bin/sh\n"):
    """A program in a folder."""
    place.mkdir(parents=True, exist_ok=True)
    (place / name).write_text(text)
    (place / name).chmod(0o755)
    return place / name


def test_a_program_that_is_nowhere_is_named_with_the_way_to_get_it():
    """The command that makes it stands last."""
    with pytest.raises(SettingsError, match=r"helm must be on the path; .* \./baton cluster from-source$"):
        programs.find("helm")
    assert programs.path_entries() == []


def test_what_was_made_from_source_is_found_before_the_shells_own(folder, monkeypatch):
    """The cluster knows one folder in the cache; newer tools replace the older ones there."""
    own = install(folder / "shell", "helm")
    monkeypatch.setenv("PATH", str(own.parent))
    assert programs.find("helm") == own

    for pinned in (versions.load(), versions.Versions("1.0.0", "1.0.0", "1.0.0", "1", "1", "1", "1", "bookworm")):
        install(made_programs.tools_folder(pinned), "helm")
        handover.hand_over(pinned)

        made = programs.find("helm")
        assert made == cache.root() / "bin" / "helm"
        assert made.resolve().parent == made_programs.tools_folder(pinned)
        assert [str(made.parent)] == programs.path_entries()


def test_nothing_is_handed_over_for_an_image_that_is_not_there():
    """The overlay of a machine with every capability, where no node image was made, changes nothing."""
    pinned = versions.Versions("0.0.0", "1.0.0", "1.0.0", "1", "1", "1", "1", "bookworm")

    handover.hand_over(pinned)

    assert "image" not in yaml.safe_load(kind_config.overlay_file().read_text())


def test_a_cluster_is_made_by_our_name_on_docker_and_what_fails_is_removed(folder, monkeypatch):
    """The shell's KIND_CLUSTER_NAME and KIND_EXPERIMENTAL_PROVIDER count for nothing, and nothing holds our ports."""
    log = folder / "log"
    install(folder / "shell", "kind", FAKE.format(log=log, code=1))
    monkeypatch.setenv("PATH", f"{folder / 'shell'}:/usr/bin:/bin")
    monkeypatch.setenv("KIND_CLUSTER_NAME", "dev")
    monkeypatch.setenv("KIND_EXPERIMENTAL_PROVIDER", "podman")
    node = Node("baton-unit")

    with pytest.raises(Unavailable, match="kind create cluster"):
        node._create()  # noqa: SLF001 - with its name there would have to be no such container

    create, delete = log.read_text().splitlines()
    assert create.startswith("create cluster --config")
    assert "--name baton-unit --kubeconfig " in create
    assert "delete cluster --name baton-unit --kubeconfig " in delete
    assert create.split()[-1] == delete.split()[-1] == "docker"
    assert str(node.kubeconfig_file) in create
