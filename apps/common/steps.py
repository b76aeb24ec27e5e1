"""Runs the named steps of a process one after another, so that the code that calls it reads as their list."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

from structlog.stdlib import BoundLogger

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True)
class StepSpan:
    """When a step that is done began and ended, in seconds since the first one began."""

    name: str
    began: float
    ended: float


class StepRunner:
    """Calls a step, logs its name with the seconds it took once it is done, and hands its result on."""

    def __init__(self, log: BoundLogger) -> None:
        """``log`` gets one line for each step; ``done`` are those that are done, in their order."""
        self.log = log
        self.done: list[StepSpan] = []
        self._zero = 0.0

    def __call__(self, name: str, step: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Do one step; what it raises passes through, and then nothing is logged."""
        start = time.monotonic()
        self._zero = self._zero or start
        result = step(*args, **kwargs)
        end = time.monotonic()
        self.done.append(StepSpan(name, start - self._zero, end - self._zero))
        self.log.info(name, seconds=round(end - start, 2))
        return result
