"""Runs the named steps of a process one after another, so that the code that calls it reads as their list."""

import time
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from structlog.stdlib import BoundLogger

P = ParamSpec("P")
T = TypeVar("T")


class StepRunner:
    """Calls a step, logs its name with the seconds it took once it is done, and hands its result on."""

    def __init__(self, log: BoundLogger) -> None:
        """``log`` gets one line for each step."""
        self.log = log

    def __call__(self, name: str, step: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Do one step; what it raises passes through, and then nothing is logged."""
        start = time.monotonic()
        result = step(*args, **kwargs)
        self.log.info(name, seconds=round(time.monotonic() - start, 2))
        return result
