"""How often and how late something that failed is tried again."""

from hypothesis import given
from hypothesis import strategies as st

from apps.common.exit_codes import Outcome
from apps.orchestrator.port import LONGEST_RETRY_S, MAX_CRASHES, Failure


def after(*outcomes):
    """The newest of failures that came one after the other at the time 1000."""
    failure = None
    for outcome in outcomes:
        failure = Failure.after(failure, outcome, 1000.0)
    return failure


def test_the_wait_doubles_from_five_seconds_to_five_minutes():
    """
    Whether it crashed or could not be done, each try waits longer than the one before.
    """
    waits = [after(*[Outcome.COULD_NOT] * tries).retry_at - 1000 for tries in range(1, 10)]

    assert [5, 10, 20, 40, 80, 160, 300, 300, 300] == waits
    assert 1005 == after(Outcome.CRASHED).retry_at


@given(st.lists(st.sampled_from(Outcome), min_size=1, max_size=2000))
def test_only_a_refusal_and_the_third_crash_are_final(outcomes):
    """
    What could not be done is tried for ever, at least each five minutes.
    """
    failure = after(*outcomes)
    crashes = outcomes.count(Outcome.CRASHED)

    assert (len(outcomes), crashes) == (failure.tries, failure.crashes)
    assert failure.is_final == (outcomes[-1] is Outcome.REFUSED or crashes >= MAX_CRASHES)
    assert 1000 < failure.retry_at <= 1000 + LONGEST_RETRY_S


def test_a_failure_of_the_future_waits_for_no_clock():
    """The clock was set back by a day since: it is due at once, and one whose clock is seconds ahead is not."""
    failure = after(Outcome.COULD_NOT)

    assert [False, False, True] == [failure.is_due(now) for now in (998, 1004, 1005)]
    assert failure.is_due(1000 - 86400)
