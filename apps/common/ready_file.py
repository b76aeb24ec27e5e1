"""
How a server tells whoever started it that it is ready: a file that appears as a whole.

It imports next to nothing, because a server that waits for its first version loads nothing else.
"""

import json
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from apps.common.files import write_whole

BEAT_S = 1


def heartbeat(ready_file: Path) -> Path:
    """The file beside it that a server touches each BEAT_S seconds while it watches itself, or waits for a version."""
    return ready_file.with_suffix(".heartbeat")


@dataclass(frozen=True)
class ReadyFile:
    """What a ready server says: its release and version, and whether it is ``serving`` or ``waiting`` for a version."""

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
