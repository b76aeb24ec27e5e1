"""What the topic of live metrics tells: the error of each version by windows of time, the newest word on each."""

import json
from typing import Any

WINDOWS_KEPT = 3000
LARGEST = 4096  # bytes of a record that is believed
TOLD = ("version", "window_start", "window_s", "mature", "answers", "labelled", "coverage")
ERRORS = ("rmse", "rmse_low", "rmse_high", "log_loss", "accuracy")


class LiveError:
    """The newest figures of each version and window; a later record of the same window replaces it."""

    def __init__(self) -> None:
        """Nothing is known yet."""
        self.windows: dict[tuple[str, int], dict[str, Any]] = {}
        self.change = 0
        self._changed: dict[tuple[str, int], int] = {}

    def put(self, value: bytes | None) -> None:
        """Take a record of the topic; one that is none of ours is passed over."""
        try:
            record = json.loads(value or b"") if len(value or b"") <= LARGEST else {}
            told = {name: record[name] for name in TOLD}
            key = str(told["version"]), int(told["window_start"])
        except (KeyError, TypeError, ValueError, RecursionError):
            return
        self.change += 1
        self.windows[key] = {**told, **{name: record[name] for name in ERRORS if record.get(name) is not None}}
        self._changed[key] = self.change
        while len(self.windows) > WINDOWS_KEPT:
            oldest = min(self.windows, key=lambda one: one[1])
            del self.windows[oldest], self._changed[oldest]

    def since(self, change: int) -> tuple[int, list[dict[str, Any]]]:
        """The number of the newest change, and the windows that changed after ``change``, oldest first."""
        changed = [key for key, number in self._changed.items() if number > change]
        return self.change, [self.windows[key] for key in sorted(changed, key=lambda one: one[1])]
