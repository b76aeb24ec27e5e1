"""How the container of a pod ended; each is as much of an object of Kubernetes as is looked at."""

from datetime import UTC, datetime
from types import SimpleNamespace as Made

import pytest

from apps.common.exit_codes import REFUSED, Outcome
from apps.orchestrator.pod_ending import ending

ENDED = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)
RUNS = Made(terminated=None)


def refused(reason="Error"):
    """The state of a container that refused what it was given."""
    log = "[info] loaded\n[error] the version is refused reason='no such file'\n"
    return Made(terminated=Made(exit_code=REFUSED, reason=reason, message=log, finished_at=ENDED))


def pod(now, before=RUNS):
    """A pod whose only container is in the state ``now``, and was ``before`` it was started again."""
    restarts = 0 if before is RUNS else 3
    return Made(status=Made(container_statuses=[Made(state=now, last_state=before, restart_count=restarts)]))


@pytest.mark.parametrize(
    ("found", "tries"), [(pod(refused()), 1), (pod(RUNS, refused()), 3), (pod(refused(), refused()), 4)]
)
def test_an_ending_is_told_also_of_a_container_that_runs_again(found, tries):
    """A server is started again whatever it ended for; what was said is kept as the state before."""
    told = ending(found)

    assert (Outcome.REFUSED, ENDED.timestamp(), tries) == (told.outcome, told.at, told.tries)
    assert "no such file" in told.reason


@pytest.mark.parametrize("found", [pod(RUNS), pod(refused("Unknown")), Made(status=Made(container_statuses=None))])
def test_what_nobody_saw_is_no_ending(found):
    """One that runs, one whose node went away under it, one that has not been begun."""
    assert ending(found) is None
