"""Whether a process that lives does anything: it touches a file, again and again."""

import time
from contextlib import suppress
from pathlib import Path


class SignOfLife:
    """A file that a process touches; one that stays as it is counts for nothing, whatever its time says."""

    def __init__(self, file: Path) -> None:
        """Nothing was seen of ``file`` yet."""
        self._file = file
        self._began = time.monotonic()
        self._beat = 0

    def silent(self) -> float:
        """Seconds since the beginning, or since it was last seen to change: no clock but this one counts."""
        with suppress(OSError):
            beat = self._file.stat().st_mtime_ns
            if beat != self._beat:
                self._beat, self._began = beat, time.monotonic()
        return time.monotonic() - self._began
