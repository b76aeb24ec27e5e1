"""What goes into the node: an image as its base's layers by name and one small layer on top."""

import hashlib
import io
import json
import tarfile

import pytest

from stack.cluster import docker, images, loading

BASE_MANIFEST = {"layers": [{"digest": "sha256:base", "size": 7, "mediaType": "x"}], "config": {"digest": "sha256:c"}}
BASE_CONFIG = {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": ["sha256:base"]}}


def archive_of(paths):
    """A tar as Docker hands it out: chunks, each name beginning with the last part of the path that was asked for."""
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as tar:
        for name, text in paths.items():
            entry = tarfile.TarInfo(name)
            if text is None:
                entry.type = tarfile.DIRTYPE
            else:
                entry.size = len(text)
            entry.uid = 10001
            tar.addfile(entry, io.BytesIO(text or b""))
    data = target.getvalue()
    return iter([data[:700], b"", data[700:]])


@pytest.mark.parametrize(("path", "prefix"), [("/opt/baton", "opt/"), ("/scratch", "")])
def test_a_layer_has_files_where_the_image_has_them(path, prefix):
    """Names begin at the root, owners stay, and the bytes of the files are counted."""
    last = path.rpartition("/")[2]
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as layer:
        size = loading._copy(archive_of({last: None, f"{last}/run": b"#!/bin/sh"}), path, layer)  # noqa: SLF001

    target.seek(0)
    with tarfile.open(fileobj=target) as layer:
        entries = {entry.name: entry.uid for entry in layer}
        text = layer.extractfile(f"{prefix}{last}/run").read()
    assert entries == {f"{prefix}{last}": 10001, f"{prefix}{last}/run": 10001}
    assert (size, text) == (9, b"#!/bin/sh")


def test_an_archive_names_what_the_node_has_and_holds_what_it_lacks():
    """Every digest is that of its blob; the base's layer is named and not there; the container starts as it should."""
    target, layer = io.BytesIO(), io.BytesIO(b"a layer")

    loading.write_image(target, "baton/apps:1", layer, BASE_MANIFEST, BASE_CONFIG, {"Entrypoint": ["tini"]})

    target.seek(0)
    with tarfile.open(fileobj=target) as tar:
        files = {entry.name: tar.extractfile(entry).read() for entry in tar}
    blobs = {name.rpartition("/")[2]: data for name, data in files.items() if name.startswith("blobs/")}
    assert all(name == hashlib.sha256(data).hexdigest() for name, data in blobs.items())
    named = json.loads(files["index.json"])["manifests"][0]
    assert named["annotations"] == {"io.containerd.image.name": "docker.io/baton/apps:1"}
    manifest = json.loads(blobs[named["digest"].removeprefix("sha256:")])
    config = json.loads(blobs[manifest["config"]["digest"].removeprefix("sha256:")])
    top = f"sha256:{hashlib.sha256(b'a layer').hexdigest()}"
    assert [one["digest"] for one in manifest["layers"]] == config["rootfs"]["diff_ids"] == ["sha256:base", top]
    assert manifest["layers"][-1]["size"] == 7
    assert (config["architecture"], config["config"]) == ("amd64", {"Entrypoint": ["tini"]})


def places(dockerfile):
    """Where a Dockerfile puts files and makes folders."""
    for words in map(str.split, dockerfile.splitlines()):
        if words[:1] == ["COPY"]:
            yield from (words[-1] + source.rpartition("/")[2] for source in words[1:-1] if not source.startswith("--"))
        elif words[:3] == ["RUN", "install", "-d"]:
            yield from (word for word in words if word.startswith("/"))


def test_all_that_an_image_adds_to_its_base_is_named(monkeypatch):
    """A place that a Dockerfile writes to and nobody names would be missing in the node."""
    monkeypatch.setattr(docker, "architecture", lambda: "x86_64")  # which Docker need not be asked here
    on_a_base = [image for image in images.images() if image.base]

    for image in on_a_base:
        written = list(places(image.files["Dockerfile"].read_text()))
        assert written
        assert [] == [place for place in written if not place.startswith(image.adds)]
    assert {"baton/mlflow", "baton/apps"} == {image.name for image in on_a_base}
