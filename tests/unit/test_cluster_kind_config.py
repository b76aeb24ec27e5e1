"""What kind is told: kind-config.yaml, and over it what was made on this machine."""

import re

import pytest
import yaml

from stack import cache, services
from stack.cluster import capabilities, docker, kind_config
from stack.kind_from_source import handover
from stack.kind_from_source.docker import WRAPPER

FULL = "CapBnd:\t000001ffffffffff\n"
WITHOUT_SYS_RESOURCE = "CapBnd:\t000001fffeffffff\n"


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """An empty cache."""
    monkeypatch.setenv("BATON_CACHE_DIR", str(tmp_path))
    return tmp_path


def lay_over(image, withheld):
    """The configuration that a machine gets for what was handed over there."""
    over = handover.overlay(image, withheld)
    return yaml.safe_load(kind_config.lay_over(kind_config.FILE.read_text(), "baton", over))


def test_an_ordinary_machine_keeps_the_cluster_as_it_is_written():
    """With kind's own node image and every capability, the configuration says what the file says."""
    assert lay_over(None, ()) == yaml.safe_load(kind_config.FILE.read_text())


def test_a_machine_without_a_capability_gets_a_cluster_that_fits():
    """The node image is put on each node and the kubelet is told to run as in a user namespace."""
    fitted = lay_over("baton/node:x", ("CAP_SYS_RESOURCE",))

    assert [node["image"] for node in fitted["nodes"]] == ["baton/node:x"]
    assert fitted["featureGates"] == {"KubeletInUserNamespace": True}


def test_without_an_overlay_nothing_of_it_is_asked(monkeypatch):
    """Where nothing was made from source not even Docker is asked for an image."""
    monkeypatch.setattr(docker, "client", pytest.fail)

    assert kind_config.overlay() == {}
    assert not kind_config.has_node_image()


@pytest.mark.parametrize("there", [True, False])
def test_a_node_image_is_used_only_while_docker_has_it(monkeypatch, there):
    """After a prune the overlay names an image that is no more: kind takes its own then."""
    kind_config.overlay_file().write_text(yaml.safe_dump(handover.overlay("baton/node:x", ("CAP_BPF",))))
    monkeypatch.setattr(docker, "has_image", lambda reference: there and reference == "baton/node:x")

    config = yaml.safe_load(kind_config.text("other"))

    assert kind_config.has_node_image() is there
    assert (config["nodes"][0].get("image") == "baton/node:x") is there
    assert (config["name"], config["featureGates"]) == ("other", {"KubeletInUserNamespace": True})
    assert kind_config.overlay_file().parent == cache.root()


def test_the_cluster_is_reached_only_from_this_machine_and_by_the_ports_of_the_stack():
    """Every host port listens on 127.0.0.1, leads to a NodePort and is one that stack.yaml gives the service."""
    config = yaml.safe_load(kind_config.FILE.read_text())
    ports = [port for node in config["nodes"] for port in node["extraPortMappings"]]
    stack = services.load()
    wanted = [("kafka", "broker"), ("mlflow", "http"), ("namenode", "rpc"), ("namenode", "http")]

    assert config["name"] == "baton"
    assert {port["listenAddress"] for port in ports} == {"127.0.0.1"}
    assert all(30000 <= port["containerPort"] <= 32767 for port in ports)
    assert [port["hostPort"] for port in ports] == [stack.service(name).ports[port] for name, port in wanted]


def test_a_capability_outside_the_bounding_set_is_missing():
    """Each capability whose bit is 0 is named, and a full set misses none."""
    assert capabilities.missing(FULL) == ()
    assert capabilities.missing(WITHOUT_SYS_RESOURCE) == ("CAP_SYS_RESOURCE",)


def test_the_wrapper_that_stands_alone_knows_the_same_capabilities():
    """The shell script before runc has the list of its own; both are in the order of the bits."""
    listed = re.search(r'^names="([^"]+)"', WRAPPER.read_text(), re.MULTILINE).group(1).split()

    assert list(capabilities.NAMES) == listed


@pytest.mark.parametrize(
    ("withheld", "info", "says"),
    [
        ((), {}, "no daemon answers"),
        ((), {"ServerVersion": "1", "DefaultRuntime": "runc"}, ""),
        (("CAP_BPF",), {"ServerVersion": "1", "DefaultRuntime": "runc"}, "without CAP_BPF; got 'runc'"),
        (("CAP_BPF",), {"ServerVersion": "1", "DefaultRuntime": "fit"}, ""),
        (
            (),
            {"ServerVersion": "1", "DefaultRuntime": "runc", "DriverStatus": [["io.containerd.snapshotter.v1", "x"]]},
            "image store must be its own",
        ),
    ],
)
def test_what_is_wrong_with_docker_is_said(monkeypatch, withheld, info, says):
    """No daemon, a runtime that asks for too much, an image store that the node cannot read from."""
    monkeypatch.setattr(capabilities, "missing", lambda: withheld)

    found = docker.problems(info)

    assert [says in text for text in found] == ([True] if says else [])
