"""
How a server tells whoever started it that it is ready: a file that appears as a whole.

It imports next to nothing, because a server that waits for its first version loads nothing else.
"""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from apps.common.files import write_whole

BEAT_S = 1
START_S = 120


def heartbeat(ready_file: Path) -> Path:
    """The file beside it that a server touches each BEAT_S seconds while it watches itself, or waits for a version."""
    return ready_file.with_suffix(".heartbeat")


@contextmanager
def beating(ready_file: Path, at_most: float = START_S) -> Iterator[None]:
    """
    Touch that file while the block runs: a start takes longer than a server may be silent.

    One that takes longer than ``at_most`` seconds hangs, and its silence shows it.
    """
    over, until = threading.Event(), time.monotonic() + at_most

    def beat() -> None:
        while not over.is_set() and time.monotonic() < until:
            heartbeat(ready_file).touch()
            over.wait(BEAT_S)

    threading.Thread(target=beat, name="heartbeat", daemon=True).start()
    try:
        yield
    finally:
        over.set()


@dataclass(frozen=True)
class ReadyFile:
    """
    What a ready server says: its release and version, and whether it is ``serving`` or ``waiting`` for a version.

    A standby is ``standby`` too.
    """

    release: int
    version: str
    state: str

    def write(self, path: Path) -> None:
        """Write it as a whole; the folder is made if need be."""
        write_whole(path, json.dumps(asdict(self)))

    @classmethod
    def read(cls, path: Path) -> "ReadyFile | None":
        """What the server said; None while it has not said anything that can be read."""
        with suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
            content = json.loads(path.read_bytes())
            return cls(int(content["release"]), str(content.get("version", "")), str(content.get("state", "")))
        return None
