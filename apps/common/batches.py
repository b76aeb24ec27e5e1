"""
Batches in HDFS: their manifest, their folders, and the moves between them.

``<root>/landing/<dataset>/<batch>/part-*.csv`` and, renamed in last, ``_manifest.json``; a batch moves as one folder,
by one atomic rename, to ``used/`` or ``refused/`` (with ``_reason.txt``).
"""

import hashlib
import json
import posixpath
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from hdfs_native import Client, WriteOptions

from apps.common.errors import BatchRefused, Unavailable

ROOT = "/baton"
MANIFEST = "_manifest.json"
REASON = "_reason.txt"
CHUNK = 4 * 1024 * 1024


@dataclass(frozen=True)
class Part:
    """One CSV file of a batch: its name, length in bytes and sha256 (hex)."""

    name: str
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """What a complete batch says of itself; ``rows`` counts data rows, ``created`` is ISO 8601 in UTC."""

    dataset: str
    rows: int
    schema_hash: str
    created: str
    parts: tuple[Part, ...]

    @property
    def content_hash(self) -> str:
        """The batch's identity: equal content has an equal hash, whatever the batch and its parts are called."""
        joined = "\n".join(sorted(part.sha256 for part in self.parts))
        return hashlib.sha256(joined.encode()).hexdigest()

    def to_json(self) -> str:
        """The text of ``_manifest.json``."""
        return json.dumps(asdict(self), indent=1)

    @classmethod
    def from_json(cls, text: str | bytes) -> "Manifest":
        """Read ``_manifest.json``; raise BatchRefused when it is not one."""
        try:
            raw = json.loads(text)
            parts = tuple(Part(str(p["name"]), int(p["bytes"]), str(p["sha256"])) for p in raw["parts"])
            return cls(str(raw["dataset"]), int(raw["rows"]), str(raw["schema_hash"]), str(raw["created"]), parts)
        except (ValueError, KeyError, TypeError) as error:
            message = (
                f"{MANIFEST} must be a JSON object with dataset, rows, schema_hash, created and parts; got {error!r}"
            )
            raise BatchRefused(message) from error


def schema_hash(columns: tuple[str, ...]) -> str:
    """The hash (hex, 16 digits) of a header: its column names in order."""
    return hashlib.sha256("\n".join(columns).encode()).hexdigest()[:16]


def describe_part(path: Path) -> Part:
    """Measure a local CSV file as a part of a batch."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return Part(path.name, path.stat().st_size, digest.hexdigest())


@dataclass(frozen=True)
class Entry:
    """A batch's folder as a listing shows it; ``changed`` is the newest modification in it, in seconds since 1970."""

    name: str
    changed: float
    complete: bool


class BatchStore:
    """The batches of one dataset in HDFS."""

    def __init__(self, hdfs: str, dataset: str, root: str = ROOT) -> None:
        """``hdfs`` is the NameNode's URL, ``hdfs://host:port``."""
        self.hdfs = hdfs
        self.dataset = dataset
        self.root = root
        self.client = Client(hdfs, {"dfs.client.use.datanode.hostname": "true"})

    def folder(self, place: str, batch: str = "") -> str:
        """The HDFS path of ``landing``, ``used``, ``refused``, ``quarantine`` or ``train-sets``, or of a batch in it."""
        return posixpath.join(self.root, place, self.dataset, batch).rstrip("/")

    def url(self, path: str) -> str:
        """The full URL of an HDFS path, as Spark reads it."""
        return f"{self.hdfs}{path}"

    def _list(self, path: str) -> list[tuple[str, bool, float]]:
        try:
            return [
                (posixpath.basename(status.path), status.isdir, status.modification_time / 1000)
                for status in self.client.list_status(path)
            ]
        except FileNotFoundError:
            return []
        except Exception as error:
            message = f"HDFS must answer at {self.hdfs}; got {error}; is the stack up?"
            raise Unavailable(message) from error

    def entries(self, place: str) -> list[Entry]:
        """The batches in ``place``, in the order of their names."""
        return sorted(self._entries(place), key=lambda entry: entry.name)

    def _entries(self, place: str) -> Iterator[Entry]:
        for name, is_folder, changed in self._list(self.folder(place)):
            if is_folder and not name.startswith((".", "_")):
                files = self._list(self.folder(place, name))
                newest = max([changed, *(file_changed for _, _, file_changed in files)])
                yield Entry(name, newest, any(file == MANIFEST for file, _, _ in files))

    def exists(self, path: str) -> bool:
        """Whether an HDFS path is there."""
        try:
            self.client.get_file_info(path)
        except FileNotFoundError:
            return False
        return True

    def read(self, path: str) -> bytes:
        """The whole content of a small HDFS file."""
        with self.client.read(path) as file:
            return bytes(file.read())

    def write(self, path: str, data: bytes) -> None:
        """Write a small HDFS file in one step: a reader sees all of it or nothing."""
        unfinished = posixpath.join(posixpath.dirname(path), f".{posixpath.basename(path)}.tmp")
        with self.client.create(unfinished, WriteOptions(overwrite=True, create_parent=True)) as file:
            file.write(data)
        self.client.rename(unfinished, path, overwrite=True)

    def manifest(self, place: str, batch: str) -> Manifest:
        """The manifest of a complete batch."""
        return Manifest.from_json(self.read(posixpath.join(self.folder(place, batch), MANIFEST)))

    def put(self, batch: str, files: list[Path], manifest: Manifest) -> None:
        """Upload a batch: its parts first, its manifest last and by rename, so that a reader never sees half."""
        target = self.folder("landing", batch)
        for file in files:
            with self.client.create(f"{target}/{file.name}", WriteOptions(overwrite=True, create_parent=True)) as out:
                with file.open("rb") as source:
                    while chunk := source.read(CHUNK):
                        out.write(chunk)
        self.write(f"{target}/{MANIFEST}", manifest.to_json().encode())

    def problems(self, batch: str) -> list[str]:
        """What in a landed batch differs from its manifest; empty when every part is there, whole and unchanged."""
        manifest = self.manifest("landing", batch)
        found = [] if manifest.parts else [f"{MANIFEST}: parts must name at least one file; got none"]
        if manifest.dataset != self.dataset:
            found.append(f"{MANIFEST}: dataset must be {self.dataset}; got {manifest.dataset}")
        for part in manifest.parts:
            path = posixpath.join(self.folder("landing", batch), part.name)
            if not self.exists(path):
                found.append(f"{part.name} must be in the batch; it is missing")
                continue
            digest, length = hashlib.sha256(), 0
            with self.client.read(path) as file:
                for chunk in file:
                    digest.update(chunk)
                    length += len(chunk)
            if length != part.bytes:
                found.append(f"{part.name} must have {part.bytes} bytes; got {length}")
            elif digest.hexdigest() != part.sha256:
                found.append(f"{part.name} must have sha256 {part.sha256}; got {digest.hexdigest()}")
        return found

    def use(self, batch: str) -> None:
        """Move a landed batch to ``used/``; does nothing when it is there already."""
        self._move(batch, "used")

    def refuse(self, batch: str, reason: str) -> None:
        """Move a landed batch to ``refused/`` with its reason; does nothing when it is there already."""
        landed = self.folder("landing", batch)
        if self.exists(landed):
            self.write(f"{landed}/{REASON}", reason.encode())
        self._move(batch, "refused")

    def _move(self, batch: str, place: str) -> None:
        source, target = self.folder("landing", batch), self.folder(place, batch)
        if not self.exists(source) and self.exists(target):
            return
        self.client.mkdirs(self.folder(place), create_parent=True)
        self.client.rename(source, target)
