"""Steps that are logged as they are done."""

import pytest
import structlog

from apps.common.steps import StepRunner


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
