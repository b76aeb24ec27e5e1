"""Traffic that the page starts: bounded in rate and time, and never longer than the page itself."""

import subprocess
import threading
import time
from collections.abc import Mapping
from pathlib import Path

from apps.common import starter
from apps.common.errors import BatonError
from loadtest.traffic import start_sender

MOST_PER_S = 200
MOST_S = 600
STOP_S = 20


class PageTraffic:
    """One sender at the most."""

    def __init__(self) -> None:
        """Nothing is sent yet."""
        self._lock = threading.Lock()
        self._sender: subprocess.Popen[bytes] | None = None
        self._rate, self._until = 0.0, 0.0

    def start(self, environment: Mapping[str, str], folder: Path, rate: float, seconds: float) -> None:
        """Send so many requests per second for so long; raises BatonError for what is beyond the bounds."""
        wrong = [
            f"{name} must be 1 to {most} {unit}; got {value:g}; ./baton traffic goes further"
            for name, value, most, unit in (
                ("the rate", rate, MOST_PER_S, "requests/s"),
                ("the time", seconds, MOST_S, "seconds"),
            )
            if not 1 <= value <= most
        ]
        if wrong:
            raise BatonError("\n".join(wrong))
        with self._lock:
            if self._runs():
                raise BatonError("one traffic must run at a time; got another one; stop it first")
            folder.mkdir(parents=True, exist_ok=True)
            with (folder / "sent-1.log").open("wb") as log:
                self._sender = start_sender(environment, rate, seconds, folder / "sent-1.jsonl", log.fileno())
            self._rate, self._until = rate, time.time() + seconds

    def stop(self) -> None:
        """End it; does nothing when none runs."""
        with self._lock:
            sender, self._sender = self._sender, None
        if sender:
            starter.let_end(sender, STOP_S)

    def told(self) -> dict[str, float] | None:
        """The rate per second, and until when in seconds since 1970; None while none runs."""
        with self._lock:
            return {"rate": self._rate, "until": self._until} if self._runs() else None

    def _runs(self) -> bool:
        return self._sender is not None and self._sender.poll() is None
