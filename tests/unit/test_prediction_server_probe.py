"""When a starting server is as quick as the one that it replaces."""

import pytest
from structlog.testing import CapturingLogger

from apps.prediction_server import probe

SOON, LATE = probe.SOON_S / 2, probe.SOON_S * 2


@pytest.fixture
def quick(monkeypatch):
    """No pause between two questions."""
    monkeypatch.setattr(probe, "EVERY_S", 0)


def level(seconds, at_most=60):
    """What is said, and how many answers of those that took ``seconds`` were waited for."""
    left, log = list(seconds), CapturingLogger()
    done = probe.wait_until_level(lambda: left.pop(0), log, at_most)
    return done, len(seconds) - len(left), log.calls[0].args[0]


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    ("seconds", "asked"),
    [
        ([SOON] * 9, 3),
        ([LATE, SOON, SOON, SOON, LATE], 4),
        ([SOON, SOON, LATE, SOON, SOON, LATE, SOON, SOON, SOON], 9),
    ],
)
def test_a_server_is_level_when_answers_came_soon_several_times_running(seconds, asked):
    """
    One that came soon by chance is none.
    """
    assert (True, asked, "level") == level(seconds)


@pytest.mark.usefixtures("quick")
def test_a_machine_that_is_too_slow_gets_its_server_all_the_same():
    """
    It is said; the release is right, and waiting for longer makes nobody quicker.
    """
    assert (False, 1, "not level, but ready") == level([LATE] * 3, at_most=0)
