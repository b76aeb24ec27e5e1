"""
Batches in HDFS: their folders, and the moves between them.

``<root>/landing/<dataset>/<batch>/part-*.csv`` and, renamed in last, ``_manifest.json``; a batch moves as one folder,
by one atomic rename, to ``used/`` or ``refused/`` (with ``_reason.txt``).
"""

import hashlib
import itertools
import json
import posixpath
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from apps.common.errors import BatchRefused, BatonError
from apps.common.hdfs import CHUNK, FileStatus, Hdfs
from apps.common.manifest import MANIFEST, Manifest, Part, describe_part, schema_hash
from apps.common.names import SCRATCH, StackNames

__all__ = ["MANIFEST", "REASON", "Batch", "BatchStore", "Entry", "Manifest", "Part", "describe_part", "schema_hash"]

PLACES = ("landing", "used", "refused")
REASON = "_reason.txt"
MANIFEST_BYTES = 16 * 1024 * 1024  # a longer file is no manifest


@dataclass(frozen=True)
class Batch:
    """A batch by its name, its number of data rows, and its content hash: what tells it from any other batch."""

    name: str
    rows: int
    content_hash: str

    def to_json(self) -> str:
        """One line, as the batch dropper prints it for the program that started it."""
        return json.dumps({"batch": self.name, "rows": self.rows, "content_hash": self.content_hash})

    @classmethod
    def from_json(cls, line: str) -> "Batch":
        """Read the line again."""
        raw = json.loads(line)
        return cls(raw["batch"], raw["rows"], raw["content_hash"])


def repeat_problems(name: str, *, is_used: bool, twin: str | None) -> list[str]:
    """
    Why a batch in landing/ is no new batch; empty when it is new.

    ``is_used`` says that a batch of this name is in used/ already; ``twin`` is the name of the batch with the same
    content that was trained on before, if there is one.
    """
    problems = []
    if twin:
        problems.append(f"a batch must bring new content; got the same content as {twin}; there is nothing to learn")
    if is_used and twin != name:
        problems.append(f"a batch must have a new name; {name} is used already; drop it under another name")
    return problems


@dataclass(frozen=True)
class Entry:
    """A batch's folder as a listing shows it; ``changed`` is the newest modification in it, in seconds since 1970."""

    name: str
    changed: float
    complete: bool


class BatchStore:
    """The batches of one stack in HDFS."""

    def __init__(self, hdfs: str, names: StackNames, files: Hdfs | None = None) -> None:
        """``hdfs`` is the NameNode's URL, ``hdfs://host:port``; ``files`` reaches it in another way."""
        self.hdfs = hdfs
        self.dataset = names.dataset
        self.root = names.hdfs_root
        self.files = files or Hdfs(hdfs)

    def folder(self, place: str, batch: str = "") -> str:
        """The HDFS path of a place (``landing``, ``used``, ``refused``, ``train-sets`` ...), or of a batch there."""
        return posixpath.join(self.root, place, self.dataset, batch).rstrip("/")

    def url(self, path: str) -> str:
        """The full URL of an HDFS path, as Spark reads it."""
        return f"{self.hdfs}{path}"

    def _folders(self, place: str) -> list[FileStatus]:
        entries = self.files.listing(self.folder(place))
        return [entry for entry in entries if entry.is_folder and not entry.name.startswith((".", "_"))]

    def names(self, place: str) -> list[str]:
        """The names of the batches in ``place``, in order, by one question to the NameNode."""
        return [folder.name for folder in self._folders(place)]

    def entries(self, place: str) -> list[Entry]:
        """The batches in ``place``, in the order of their names."""
        return [self._entry(place, folder) for folder in self._folders(place)]

    def _entry(self, place: str, folder: FileStatus) -> Entry:
        files = self.files.listing(self.folder(place, folder.name))
        newest = max([folder.changed, *(file.changed for file in files)])
        return Entry(folder.name, newest, MANIFEST in {file.name for file in files})

    def now(self) -> float:
        """The NameNode's clock, by which a listing tells times, in seconds since 1970."""
        return self.files.now(posixpath.join(self.root, SCRATCH))

    def exists(self, path: str) -> bool:
        """Whether an HDFS path is there."""
        return self.files.exists(path)

    def read(self, path: str) -> bytes:
        """The whole content of a small HDFS file."""
        return self.files.read(path)

    def write(self, path: str, data: bytes) -> None:
        """Write a small HDFS file in one step: a reader sees all of it or nothing."""
        self.files.write(path, data)

    def manifest(self, place: str, batch: str) -> Manifest:
        """The manifest of a complete batch; raise BatchRefused when it is none, FileNotFoundError when it is gone."""
        text = b""
        for chunk in self.files.chunks(posixpath.join(self.folder(place, batch), MANIFEST)):
            text += chunk
            if len(text) > MANIFEST_BYTES:
                message = f"{MANIFEST} must have at most {MANIFEST_BYTES} bytes; got more"
                raise BatchRefused(message)
        return Manifest.from_json(text)

    def put(self, batch: str, files: list[Path], manifest: Manifest) -> None:
        """
        Upload a batch: its parts first, its manifest last and by rename, so that a reader never sees half.

        ``files`` are the manifest's parts, in its order; what a file is called here does not matter.
        """
        target = self.folder("landing", batch)
        for file, part in zip(files, manifest.parts, strict=True):
            with file.open("rb") as source:
                self.files.upload(f"{target}/{part.name}", iter(lambda: source.read(CHUNK), b""))
        self.files.write(f"{target}/{MANIFEST}", manifest.to_json().encode())

    def problems(self, batch: str) -> list[str]:
        """What is wrong with a landed batch, by itself and against its manifest; empty when it is whole."""
        manifest = self.manifest("landing", batch)
        return manifest.problems(self.dataset) or self.differences(batch, manifest)

    def differences(self, batch: str, manifest: Manifest) -> list[str]:
        """What in a landed batch differs from its manifest; empty when every part is there, whole and unchanged."""
        folder = self.folder("landing", batch)
        there = {file.name: file for file in self.files.listing(folder)}
        problems = []
        for part in manifest.parts:
            if part.name not in there or there[part.name].is_folder:
                problems.append(f"{part.name} must be in the batch; it is missing")
            elif there[part.name].bytes != part.bytes:  # the listing knows it: not a byte has to be read
                problems.append(f"{part.name} must have {part.bytes} bytes; got {there[part.name].bytes}")
            elif (digest := self._sha256(posixpath.join(folder, part.name))) != part.sha256.lower():
                problems.append(f"{part.name} must have sha256 {part.sha256.lower()}; got {digest or 'no such file'}")
        unnamed = [name for name in there.keys() - {part.name for part in manifest.parts} if name[0] not in "._"]
        return problems + [f"{name} must be named in {MANIFEST}; it is not" for name in sorted(unnamed)]

    def _sha256(self, path: str) -> str:
        """The hash of a file, or nothing when it was taken away since it was listed."""
        digest = hashlib.sha256()
        try:
            for chunk in self.files.chunks(path):
                digest.update(chunk)
        except FileNotFoundError:
            return ""
        return digest.hexdigest()

    def use(self, batch: str) -> None:
        """Move a landed batch to ``used/``; does nothing when it is there already."""
        self._move(batch, self.folder("used", batch))

    def refuse(self, batch: str, reason: str) -> None:
        """
        Move a landed batch to ``refused/`` with its reason; does nothing when it is not in ``landing/`` any more.

        A batch of the same name that was refused before is kept: the new one gets a number behind its name. The reason
        lies beside the batch's folder until that is there, so that it is known from the move on, and nothing is written
        into a folder that somebody else may move meanwhile.
        """
        landed = self.folder("landing", batch)
        if not self.exists(landed):
            return
        taken = set(self.names("refused"))
        numbered = (f"{batch}.{number}" for number in itertools.count(2))
        free = next(name for name in itertools.chain([batch], numbered) if name not in taken)
        target = self.folder("refused", free)
        within, beside = self._reasons(free)
        self.files.write(beside, reason.encode())
        try:
            self.files.rename(landed, target)
            self.files.rename(beside, within, overwrite=True)
        except FileNotFoundError:  # somebody moved it since it was looked for
            if not self.exists(target):
                self.files.delete(beside)

    def reason(self, batch: str) -> str | None:
        """Why a batch was refused; None when it was not."""
        if not self.exists(self.folder("refused", batch)):
            return None
        for path in self._reasons(batch) * 2:  # it may be moved from beside to within just now
            with suppress(FileNotFoundError):
                return self.files.read(path).decode(errors="replace")
        return f"somebody took its {REASON} away"

    def _reasons(self, batch: str) -> tuple[str, str]:
        """Where the reason of a refused batch is in the end, and where until the batch has been moved."""
        folder = self.folder("refused", batch)
        return f"{folder}/{REASON}", f"{folder}{REASON}"

    def _move(self, batch: str, target: str) -> None:
        source = self.folder("landing", batch)
        if not self.exists(source):
            if self.exists(target):
                return
            message = f"{batch} must be in landing; it is neither there nor at {target}; somebody moved it"
            raise BatonError(message)
        self.files.make_folder(posixpath.dirname(target))
        self.files.rename(source, target)
