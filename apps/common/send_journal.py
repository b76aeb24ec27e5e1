"""The sender's journal: one JSON line per request, written when the broker has acknowledged it or has refused to."""

import time
from pathlib import Path

from apps.common.messages import Send

FLUSH_S = 0.25


class SendWriter:
    """Appends lines; the sender flushes them, so that a reader is never far behind."""

    def __init__(self, path: Path | None) -> None:
        """Without a path nothing is written, and only the counts are kept."""
        if path:
            path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("a") if path else None
        self._open: dict[str, tuple[float, float]] = {}  # request id -> sent_at, late_s
        self._flushed = time.monotonic()
        self.acknowledged = 0
        self.failed = 0

    def sent(self, request_id: str, sent_at: float, late_s: float) -> None:
        """A request is on its way, ``late_s`` after it was due."""
        self._open[request_id] = sent_at, late_s

    def acked(self, request_id: str, partition: int | None, offset: int | None) -> None:
        """The broker has it."""
        self.acknowledged += self._write(request_id, time.time(), partition, offset, None)

    def broke(self, request_id: str, error: BaseException | str, *, refused: bool = False) -> None:
        """Nobody knows whether the broker has it; or surely it has not, when it was ``refused``."""
        self.failed += self._write(request_id, None, None, None, str(error), refused=refused)

    def _write(
        self,
        request_id: str,
        acked_at: float | None,
        partition: int | None,
        offset: int | None,
        error: str | None,
        *,
        refused: bool = False,
    ) -> bool:
        """Whether this was the first word on the request; a later one comes too late to count."""
        begun = self._open.pop(request_id, None)
        if begun is None:
            return False
        sent_at, late_s = begun
        line = Send(request_id, partition, offset, sent_at, acked_at, error, late_s, refused).to_json()
        if self._file:
            self._file.write(f"{line}\n")
        return True

    def flush(self) -> None:
        """Let readers see what was written, if that was not done a moment ago."""
        if self._file and time.monotonic() - self._flushed >= FLUSH_S:
            self._flushed = time.monotonic()
            self._file.flush()

    def close(self) -> None:
        """Write down what was never acknowledged, and close the file."""
        for request_id in list(self._open):
            self.broke(request_id, "not acknowledged when the sender ended")
        if self._file:
            self._file.close()
        self._file = None
