"""With a standby nobody waits for a server that was killed, or is frozen, to be started again."""

import pytest

from apps.common.waiting import pause, wait_until
from loadtest.ledger import problems
from stack.cli.bench.standby import stands_by

RATE = 50
STANDS_BY_S = 180
NEXT_ANSWER_MS = 10_000  # it takes two or three seconds; a start takes more than this on any machine


@pytest.fixture(scope="module")
def standby(stack, first_version):
    """The stack, with a standby while the module runs."""
    told = {name: value for name, value in stack.settings.items() if name != "BATON_DATASET"}
    stack.down()
    stack.up("used_cars", None, **{**told, "BATON_STANDBY": "on"})
    yield stack
    stack.down()
    stack.up("used_cars", None, **told)


@pytest.mark.faults
@pytest.mark.parametrize("fault", ["kill", "freeze_jvm"])
def test_a_standby_answers_until_the_server_is_back(standby, faults, pipeline, ledger, fault):
    """
    Nothing is lost or wrong, a third process answers between the server's two, no request waits for a start, and
    afterwards the standby stands by again.
    """
    wait_until(lambda: stands_by(standby), STANDS_BY_S, "the standby must stand by; its log tells")
    with ledger.traffic(rate=RATE, settle=120):
        pause(10)
        faults.wait_until_back("prediction-server", getattr(faults, fault)("prediction-server"))
        pause(15)
    wait_until(lambda: stands_by(standby), STANDS_BY_S, "the standby must stand by; its log tells")

    verdict = ledger.verdict(pipeline.expected([pipeline.served_version()]))
    assert [] == problems(verdict, must_compare=True)
    assert 3 == len({answer.process for answer in ledger.answers()})
    assert max(wait.ms for wait in verdict.waits) < NEXT_ANSWER_MS
