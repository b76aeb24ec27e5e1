"""When a window is settled."""

from apps.live_metrics.windows import Sums


def test_a_window_is_settled_when_it_is_over_and_all_outcomes_are_there_or_nothing_is_waited_for():
    """What came fast alone is no fair sample."""
    full, half, none = Sums(answers=100, labelled=100), Sums(answers=100, labelled=50), Sums(answers=2, rejections=2)

    assert full.settled(0, window_s=60, wait_s=3600, now=61)
    assert not full.settled(0, window_s=60, wait_s=3600, now=59)
    assert not half.settled(0, window_s=60, wait_s=3600, now=61)
    assert not none.settled(0, window_s=60, wait_s=3600, now=61)
    assert half.settled(0, window_s=60, wait_s=3600, now=3661)
    assert Sums(answers=110, rejections=10, labelled=99).settled(0, window_s=60, wait_s=3600, now=61)
