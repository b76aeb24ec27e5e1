"""What an exit code says."""

import pytest

from apps.common.exit_codes import CRASHED, DONE, FAILED, REFUSED, Outcome, outcome_of, signal_name


@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        (DONE, None),
        (REFUSED, Outcome.REFUSED),
        (FAILED, Outcome.COULD_NOT),
        (None, Outcome.COULD_NOT),
        (-15, Outcome.COULD_NOT),
        (143, Outcome.COULD_NOT),
        (CRASHED, Outcome.CRASHED),
        (-9, Outcome.CRASHED),
        (137, Outcome.CRASHED),
        (2, Outcome.CRASHED),
    ],
)
def test_an_exit_code_that_nobody_chose_is_a_crash(code, outcome):
    """
    Refused and could not have codes of their own; an end that nobody saw, or that somebody asked for, is no crash.
    """
    assert outcome is outcome_of(code)


@pytest.mark.parametrize(
    ("code", "name"), [(-9, "SIGKILL"), (137, "SIGKILL"), (143, "SIGTERM"), (70, ""), (0, ""), (None, ""), (255, "")]
)
def test_a_signal_is_known_by_the_code_of_a_process_and_of_a_container(code, name):
    """
    Python gives a negative number, a container 128 and the number.
    """
    assert name == signal_name(code)
