"""The one place that waits: on a condition, with a deadline, leaving the last state seen when it is missed."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import ParamSpec, TypeVar

from apps.common.errors import DeadlineMissed

P = ParamSpec("P")
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


def in_time(deadline: float, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """
    What ``call`` returns or raises within ``deadline`` seconds; raises DeadlineMissed when it does neither.

    It runs in a thread, which is left to itself then and ends with the process at the latest: for calls that nobody
    can interrupt.
    """
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(call(*args, **kwargs))
        except BaseException as error:  # noqa: BLE001 - it is raised where it is awaited
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    try:
        return future.result(deadline)
    except TimeoutError as error:
        if future.done():  # it is the call's own
            raise
        raise DeadlineMissed(f"waited {deadline:g} s; {call!r} does not return") from error
