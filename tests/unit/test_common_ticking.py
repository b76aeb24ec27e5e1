"""A loop of ticks ends when it is told how long to last."""

import time

from apps.common import logs, ticking


def test_a_loop_that_lasts_a_while_ends_by_itself():
    """
    It ticks again and again for as long as it was told, and ends with success.
    """
    ticks = []

    code = ticking.run(lambda: ticks.append(time.monotonic()), 0.05, logs.configure("test"), lasting=0.3)

    assert 0 == code
    assert len(ticks) >= 2
