"""The error of each version by windows, as the page keeps it."""

import json

from stack.cli.page.live_error import WINDOWS_KEPT, LiveError


def record(version="1", start=600, **more):
    """A record of the topic of live metrics."""
    told = {"model": "m", "version": version, "window_start": start, "window_s": 60, "mature": False}
    told |= {"answers": 10, "labelled": 5, "coverage": 0.5, "rmse": 3.0, "rmse_low": None, "log_loss": None}
    return json.dumps(told | more).encode()


def test_a_later_word_on_a_window_replaces_the_earlier_one():
    """A correction moves an old figure, and only that window is told again."""
    live = LiveError()
    live.put(record(rmse=3.0))
    live.put(record(version="2"))
    change, _ = live.since(0)
    live.put(record(rmse=4.0, mature=True))

    [window] = live.since(change)[1]
    assert ("1", 4.0, True) == (window["version"], window["rmse"], window["mature"])
    assert "rmse_low" not in window


def test_what_is_no_figure_is_passed_over():
    """Anything may stand in a topic."""
    live = LiveError()
    for value in (None, b"", b"[]", b"{}", b"\xff", b'"x"', b"[" * 5000, b"{" + b" " * 9000 + b"}"):
        live.put(value)

    assert (0, []) == live.since(0)


def test_windows_are_bounded():
    """The oldest go."""
    live = LiveError()
    for number in range(WINDOWS_KEPT + 10):
        live.put(record(start=number * 60))

    assert WINDOWS_KEPT == len(live.windows)
    assert 600 == min(start for _, start in live.windows)
