"""The one place that waits: on a condition, with a deadline, leaving the last state seen when it is missed."""

import time
from collections.abc import Callable
from typing import TypeVar

from apps.common.errors import DeadlineMissed

T = TypeVar("T")


def pause(seconds: float) -> None:
    """Sleep; named, so that every other sleep in the project can be banned."""
    time.sleep(seconds)  # noqa: TID251


def wait_until(
    condition: Callable[[], T | None],
    deadline: float,
    describe: Callable[[], str] | str,
    every: float = 0.2,
) -> T:
    """
    Return the first truthy value of ``condition``, asked each ``every`` seconds for at most ``deadline`` seconds.

    Raises DeadlineMissed with ``describe`` (asked at the end, so that it tells the last state seen).
    """
    end = time.monotonic() + deadline
    while True:
        if value := condition():
            return value
        if time.monotonic() >= end:
            state = describe if isinstance(describe, str) else describe()
            message = f"waited {deadline:g} s; {state}"
            raise DeadlineMissed(message)
        pause(every)
