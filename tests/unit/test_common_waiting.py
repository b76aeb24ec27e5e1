"""Calls that nobody can interrupt are not waited for without end."""

import threading

import pytest

from apps.common.errors import DeadlineMissed
from apps.common.waiting import in_time


def test_what_a_call_returns_or_raises_is_handed_on():
    """
    Its own timeout too, which is another thing than a deadline.
    """

    def failing(error):
        raise error

    assert 7 == in_time(10, int, "7")
    for kind in (ValueError, TimeoutError):
        with pytest.raises(kind, match="its own"):
            in_time(10, failing, kind("its own"))


def test_a_call_that_does_not_return_is_left_to_itself():
    """
    Whoever called goes on.
    """
    never = threading.Event()
    try:
        with pytest.raises(DeadlineMissed, match=r"waited 0\.1 s; .* does not return"):
            in_time(0.1, never.wait)
    finally:
        never.set()
