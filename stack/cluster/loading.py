"""
Puts images of this machine's Docker into the node, and of each only what the node lacks.

An image that stands on another one goes in two parts: what it stands on, whole, when the node does not have it yet;
and one small layer with what it adds. So an edit of the apps, which is a megabyte on top of two gigabytes, is in the
node in seconds. Docker itself can save an image only whole, which takes half a minute.
"""

import hashlib
import io
import json
import subprocess
import tarfile
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import IO, Any

from docker.errors import DockerException

from apps.common.errors import Unavailable
from stack.cluster import docker, programs
from stack.cluster.images import Image
from stack.cluster.node import Node

CTR = ("ctr", "--namespace", "k8s.io")
LAYER = "application/vnd.oci.image.layer.v1.tar"
CONFIG = "application/vnd.oci.image.config.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"


def load(node: Node, images: Iterable[Image]) -> None:
    """Put ``images``, which Docker must have, into the node; raises Unavailable when it does not take them."""
    there = _names(node)
    missing = [image for image in images if image.reference not in there]
    whole = {(image.base or image).reference for image in missing} - there
    if whole:
        _send_whole(node, sorted(whole))
    for image in missing:
        if image.base:
            _send_addition(node, image, image.base)


def _names(node: Node) -> set[str]:
    """The images in the node, as ``baton/kafka:0123456789ab``."""
    names = node.execute(*CTR, "images", "list", "-q").split()
    return {name.removeprefix("docker.io/").removeprefix("library/") for name in names}


def _send_whole(node: Node, references: Sequence[str]) -> None:
    """
    Send images as Docker saves them, as a stream, and all in one so that shared layers go once.

    ``kind load`` writes 2 GB to a file in between, and fails where Docker keeps its images in containerd.
    """
    save = ["docker", "save", *references]
    with subprocess.Popen(save, stdout=subprocess.PIPE, env=programs.environment("docker")) as saved:
        assert saved.stdout is not None  # noqa: S101 - asked for as a pipe
        problem = _import(node, saved.stdout)
    if saved.returncode or problem:
        problem = problem or f"docker save ended with {saved.returncode}"
        raise Unavailable(f"the node must take the images {', '.join(references)}; got {problem}; is its disk full?")


def _send_addition(node: Node, image: Image, base: Image) -> None:
    """Send what an image adds to its base, which the node has; all of it when that is not to be had alone."""
    with tempfile.TemporaryFile() as layer, tempfile.TemporaryFile() as archive:
        if _is_all(image, base, _write_layer(image, layer)):
            manifest, config = _manifest(node, base.reference)
            write_image(archive, image.reference, layer, manifest, config, docker.configuration(image.reference))
            archive.seek(0)
            if not _import(node, archive):
                return
    _send_whole(node, [image.reference])


def _write_layer(image: Image, target: IO[bytes]) -> int:
    """Write the files that an image adds as a layer; return how many bytes they have."""
    client, size = docker.client(), 0
    try:
        container = client.containers.create(image.reference)
        try:
            with tarfile.open(fileobj=target, mode="w") as layer:
                for path in image.adds:
                    size += _copy(container.get_archive(path)[0], path, layer)
        finally:
            container.remove()
    except DockerException as error:
        raise docker.unanswered(error) from error
    target.seek(0)
    return size


def _copy(chunks: Iterator[bytes], path: str, layer: tarfile.TarFile) -> int:
    """Copy an archive of ``path``, whose names begin with the path's last part; return the bytes of its files."""
    parent, size = path.strip("/").rpartition("/")[0], 0
    with tarfile.open(fileobj=_Stream(chunks), mode="r|") as archive:
        for entry in archive:
            entry.name = f"{parent}/{entry.name}".lstrip("/")
            layer.addfile(entry, archive.extractfile(entry) if entry.isreg() else None)
            size += entry.size if entry.isreg() else 0
    return size


class _Stream(io.RawIOBase):
    """Chunks of bytes as a file that can be read once."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._left = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._left:
            chunk = next(self._chunks, None)
            if chunk is None:
                return 0
            self._left = chunk
        part, self._left = self._left[: len(buffer)], self._left[len(buffer) :]
        buffer[: len(part)] = part
        return len(part)


def _is_all(image: Image, base: Image, size: int) -> bool:
    """Whether files of ``size`` bytes are all that an image adds: a Dockerfile may do more than is known here."""
    return docker.size(image.reference) - docker.size(base.reference) == size


def _manifest(node: Node, reference: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The manifest and the configuration of an image in the node."""
    listed = [line.split() for line in node.execute(*CTR, "images", "list").splitlines()]
    digest = next(words[2] for words in listed if words[0].endswith(f"/{reference}"))
    manifest = _content(node, digest)
    if "manifests" in manifest:  # one for each architecture
        manifest = _content(node, manifest["manifests"][0]["digest"])
    return manifest, _content(node, manifest["config"]["digest"])


def _content(node: Node, digest: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(node.execute(*CTR, "content", "get", digest))
    return content


def write_image(
    target: IO[bytes],
    reference: str,
    layer: IO[bytes],
    base_manifest: Mapping[str, Any],
    base_config: Mapping[str, Any],
    run: Mapping[str, Any],
) -> None:
    """
    Write an archive of the image ``reference``: its base's layers by name only, and ``layer`` on top.

    ``run`` is how a container of it is started: entry point, environment and the like.
    """
    digest = f"sha256:{hashlib.file_digest(layer, 'sha256').hexdigest()}"  # type: ignore[arg-type]
    size = layer.seek(0, io.SEEK_END)
    layer.seek(0)
    root = {"type": "layers", "diff_ids": [*base_config["rootfs"]["diff_ids"], digest]}
    config = json.dumps({**base_config, "config": run, "rootfs": root, "history": []}).encode()
    top = {"mediaType": LAYER, "digest": digest, "size": size}
    layers = [*base_manifest["layers"], top]
    manifest = json.dumps(
        {"schemaVersion": 2, "mediaType": MANIFEST, "config": _described(config, CONFIG), "layers": layers}
    ).encode()
    named = {"io.containerd.image.name": f"docker.io/{reference}"}
    index = {"schemaVersion": 2, "manifests": [{**_described(manifest, MANIFEST), "annotations": named}]}
    texts = {
        "oci-layout": json.dumps({"imageLayoutVersion": "1.0.0"}).encode(),
        "index.json": json.dumps(index).encode(),
        _place(config): config,
        _place(manifest): manifest,
    }
    with tarfile.open(fileobj=target, mode="w") as archive:
        archive.addfile(_entry(f"blobs/{digest.replace(':', '/')}", size), layer)
        for path, text in texts.items():
            archive.addfile(_entry(path, len(text)), io.BytesIO(text))


def _described(blob: bytes, kind: str) -> dict[str, Any]:
    return {"mediaType": kind, "digest": f"sha256:{hashlib.sha256(blob).hexdigest()}", "size": len(blob)}


def _place(blob: bytes) -> str:
    return f"blobs/sha256/{hashlib.sha256(blob).hexdigest()}"


def _entry(path: str, size: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(path)
    entry.size = size
    return entry


def _import(node: Node, archive: IO[bytes]) -> str:
    """Let the node import an archive; return what is wrong, nothing when it took it."""
    command = ["docker", "exec", "--interactive", node.container_name, *CTR, "images", "import", "--digests", "-"]
    done = subprocess.run(command, stdin=archive, capture_output=True, env=programs.environment("docker"), check=False)
    return done.stderr.decode(errors="replace").strip()[-500:] if done.returncode else ""
