"""Steps that are logged as they are done."""

import pytest
import structlog

from apps.common.steps import StepRunner
from apps.common.waiting import pause


def test_a_step_hands_its_result_on_and_is_logged_once_it_is_done():
    """
    The log names the step with its seconds; a step that fails is not logged as done.
    """
    log = structlog.testing.CapturingLogger()
    step = StepRunner(log)

    result = step("divide", divmod, 7, 2)
    with pytest.raises(ZeroDivisionError):
        step("divide by nothing", divmod, 7, 0)

    assert (3, 1) == result
    assert [(("divide",), ["seconds"])] == [(call.args, list(call.kwargs)) for call in log.calls]


def test_a_runner_knows_when_each_step_was():
    """
    In seconds since the first one began, and one after the other; a step that fails is none of them.
    """
    step = StepRunner(structlog.testing.CapturingLogger())
    step("sleep", pause, 0.02)
    with pytest.raises(ZeroDivisionError):
        step("divide by nothing", divmod, 7, 0)
    step("sleep again", pause, 0.01)

    first, second = step.done
    assert ("sleep", 0, "sleep again") == (first.name, first.began, second.name)
    assert 0.02 <= first.ended <= second.began <= second.ended - 0.01
