"""
Files in HDFS, over hdfs-native: every failure is either a missing file or Unavailable with one readable line.

The client's own errors carry Java stack traces. By itself it retries a dead NameNode for three minutes, and waits for
one that hangs for as long as that takes.
"""

import posixpath
import re
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

from hdfs_native import Client, WriteOptions

from apps.common.errors import DeadlineMissed, Unavailable
from apps.common.waiting import in_time

P = ParamSpec("P")
T = TypeVar("T")

CHUNK = 4 * 1024 * 1024
ABANDONED = 3  # verbs that hang at a time
ANSWER_S = 30  # for one verb, or one chunk; it takes some hundredths of a second
PATIENCE = {  # about 2 s until a NameNode that refuses connections counts as down
    "dfs.client.use.datanode.hostname": "true",
    "dfs.client.failover.max.attempts": "3",
    "dfs.client.failover.sleep.base.millis": "200",
    "dfs.client.failover.sleep.max.millis": "1000",
    "dfs.client.socket-timeout": "10000",
}


@dataclass(frozen=True)
class FileStatus:
    """A file or folder as a listing shows it; ``changed`` is in seconds since 1970, by the NameNode's clock."""

    name: str
    is_folder: bool
    bytes: int
    changed: float


class Hdfs:
    """A small set of verbs on paths; a missing path raises FileNotFoundError, everything else Unavailable."""

    def __init__(self, url: str, answer_s: float = ANSWER_S) -> None:
        """``url`` is the NameNode's, ``hdfs://host:port``; each verb may take ``answer_s``. Nothing is connected."""
        self.url = url
        self.answer_s = answer_s
        self._abandoned: list[threading.Event] = []  # each is set when its verb has returned after all
        self.client = Client(url, PATIENCE)

    def _ask(self, path: str, verb: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What the client says of ``path``; at once an error while too many verbs before it still hang."""
        silent = f"HDFS must answer at {self.url} within {self.answer_s:g} s; it does not; is the stack up?"
        self._abandoned = [returned for returned in self._abandoned if not returned.is_set()]
        if len(self._abandoned) >= ABANDONED:  # each keeps threads and connections
            raise Unavailable(silent)
        returned = threading.Event()

        def ask() -> T:
            try:
                return verb(*args, **kwargs)
            finally:
                returned.set()

        try:
            return in_time(self.answer_s, ask)
        except (FileNotFoundError, FileExistsError) as error:
            raise type(error)(path) from error
        except DeadlineMissed as error:
            self._abandoned.append(returned)
            self.client = Client(self.url, PATIENCE)  # what hangs keeps its connection
            raise Unavailable(silent) from error
        except (OSError, RuntimeError) as error:
            message = f"HDFS must answer at {self.url}; got {first_line(error)} for {path}; is the stack up?"
            raise Unavailable(message) from error

    def listing(self, path: str) -> list[FileStatus]:
        """What is in a folder, in the order of the names; nothing when there is no such folder."""
        try:
            found = self._ask(path, lambda: list(self.client.list_status(path)))
        except FileNotFoundError:
            return []
        entries = [
            FileStatus(posixpath.basename(raw.path), raw.isdir, raw.length, raw.modification_time / 1000)
            for raw in found
        ]
        return sorted(entries, key=lambda entry: entry.name)

    def now(self, folder: str) -> float:
        """The NameNode's clock, in seconds since 1970: when an empty file in ``folder``, made for this, was written."""
        path = posixpath.join(folder, f"clock-{uuid.uuid4().hex}")
        self.upload(path, [])
        written: int = self._ask(path, self.client.get_file_info, path).modification_time
        self.delete(path)
        return written / 1000

    def exists(self, path: str) -> bool:
        """Whether a path is there."""
        try:
            self._ask(path, self.client.get_file_info, path)
        except FileNotFoundError:
            return False
        return True

    def chunks(self, path: str) -> Iterator[bytes]:
        """The content of a file, piece by piece."""
        file = self._ask(path, self.client.read, path)
        while chunk := bytes(self._ask(path, file.read, CHUNK)):
            yield chunk

    def read(self, path: str) -> bytes:
        """The whole content of a small file."""
        return b"".join(self.chunks(path))

    def upload(self, path: str, chunks: Iterable[bytes]) -> None:
        """Write a file; a reader may see a part of it meanwhile."""
        file = self._ask(path, self.client.create, path, WriteOptions(overwrite=True, create_parent=True))
        for chunk in chunks:
            self._ask(path, file.write, chunk)
        self._ask(path, file.close)

    def write(self, path: str, data: bytes) -> None:
        """Write a small file in one step: a reader sees all of it or nothing."""
        unfinished = posixpath.join(posixpath.dirname(path), f".{posixpath.basename(path)}.tmp")
        self.upload(unfinished, [data] if data else [])
        self.rename(unfinished, path, overwrite=True)

    def rename(self, source: str, target: str, *, overwrite: bool = False) -> None:
        """Move a file or folder in one step; the target's folder must be there, the target itself must not."""
        self._ask(f"{source} -> {target}", self.client.rename, source, target, overwrite=overwrite)

    def make_folder(self, path: str) -> None:
        """Make a folder and those above it; does nothing when it is there."""
        self._ask(path, self.client.mkdirs, path, create_parent=True)

    def delete(self, path: str) -> None:
        """Delete a file or a whole folder, if it is there."""
        try:
            self._ask(path, self.client.delete, path, recursive=True)
        except FileNotFoundError:
            return


def first_line(error: BaseException) -> str:
    """An error's text without the Java stack trace that follows it and the wrapping of the client."""
    line = re.split(r"\\n|\n", str(error), maxsplit=1)[0].strip()
    return re.sub(r'^RPCError\("(?:[\w$]+\.)*([\w$]+)", "(.*?)(?:"\))?$', r"\1: \2", line)
