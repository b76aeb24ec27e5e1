"""
What a query keeps in HDFS: its checkpoint, which says what was read, and its windows, which say what was added up.

They lie in one folder, so that they are of the same rows.
"""

from dataclasses import dataclass
from typing import Generic, Protocol, Self, TypeVar

from structlog.stdlib import BoundLogger

from apps.common.hdfs import Hdfs
from apps.common.names import StackNames


class AnyWindows(Protocol):
    """Of some topics, by their ids, and some length in seconds; written as JSON."""

    topics: list[str]
    window_s: int

    def __init__(self, topics: list[str], window_s: int) -> None:
        """Without any."""

    def to_json(self) -> bytes:
        """All of it."""

    @classmethod
    def from_json(cls, text: bytes) -> Self:
        """Read it again."""


W = TypeVar("W", bound=AnyWindows)


@dataclass
class Kept(Generic[W]):
    """The folder of one query, named ``name``, whose windows are of ``kind``."""

    files: Hdfs
    names: StackNames
    name: str
    kind: type[W]

    @property
    def folder(self) -> str:
        """Its path."""
        return f"{self.names.hdfs_root}/{self.name}"

    @property
    def checkpoint(self) -> str:
        """The URL that Spark is told."""
        return f"{self.files.url}{self.folder}/checkpoint"

    def open(self, topics: list[str], window_s: int, log: BoundLogger) -> W:
        """The windows of ``topics``, by their ids; those of topics that are gone, or as long as others, are void."""
        path = f"{self.folder}/windows.json"
        if self.files.exists(path):
            windows = self.kind.from_json(self.files.read(path))
            if (windows.topics, windows.window_s) == (topics, window_s):
                return windows
            log.warning("topics or windows are others; what was added up is thrown away and begun anew", of=self.name)
        self.forget()
        windows = self.kind(topics, window_s)
        self.files.make_folder(self.folder)
        self.keep(windows)
        return windows

    def keep(self, windows: W) -> None:
        """Write them in one step."""
        self.files.write(f"{self.folder}/windows.json", windows.to_json())

    def forget(self) -> None:
        """Begin anew."""
        self.files.delete(self.folder)
