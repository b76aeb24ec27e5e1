"""``./baton wait`` as scripts use it: exit codes and JSON."""

import json

import pytest

from apps.common.errors import DeadlineMissed
from apps.common.exit_codes import Outcome
from apps.common.registry import PROMOTED, PROMOTION, Version
from apps.orchestrator.embedded import EmbeddedOrchestrator
from apps.orchestrator.port import ReleaseState
from stack.cli.pipeline import Hopeless, Pipeline
from stack.cli.stack import Stack
from stack.cli.wait import Condition, wait_for
from tests.toys import toy


def test_what_is_not_so_in_time_gives_exit_code_1(checkout):
    """A stack that is down is not ready: exit code 1, the last state in words and as JSON."""
    code, out, err = checkout.run("wait", "ready", "--timeout", "0.2", "--json")
    answer = json.loads(out)

    assert 1 == code
    assert (answer["condition"], answer["reached"]) == ("ready", False)
    assert "every service must be ready; got none; run ./baton up" in answer["reason"]
    assert answer["reason"].startswith("waited 0.2 s; ")
    assert answer["reason"] in err.replace("\n", " ")


def test_a_version_and_a_batch_need_a_name(checkout):
    """A wrong command line is exit code 2, with the right one in its words."""
    nameless = checkout.run("wait", "version")
    named = checkout.run("wait", "ready", "2")

    assert (2, 2) == (nameless[0], named[0])
    assert "name the version: ./baton wait version NAME" in nameless[2]
    assert "ready takes no name" in named[2]


class Loop(Pipeline):
    """The loop on a state folder, without the platform: which batches were refused and which trained on is given."""

    def __init__(self, state):
        """Nothing was dropped yet."""
        self.orchestrator = self.supervised = EmbeddedOrchestrator(state)
        self.refused = {}
        self.trained = []
        self.withhold = {}
        self.promoted = None

    def serve(self, version):
        """Let a version serve."""
        self.supervised.roll_out(toy(version))
        self.supervised.mark_release(self.supervised.wanted_release(), ReleaseState.SERVING)

    def refusal(self, batch):
        """Why a batch was refused."""
        return self.refused.get(batch)

    def versions(self):
        """One version for each batch that was trained on."""
        return [
            Version("m", str(n), "run", {"batch": batch, PROMOTION: self.withhold.get(batch, PROMOTED)})
            for n, batch in enumerate(self.trained, 1)
        ]

    def champion(self):
        """The version that a person promoted."""
        return next((one for one in self.versions() if one.version == self.promoted), None)


@pytest.fixture
def loop(tmp_path, monkeypatch):
    """The loop of every stack."""
    loop = Loop(tmp_path)
    monkeypatch.setattr(Stack, "pipeline", lambda _: loop)
    return loop


def missing(condition, name):
    """The last state of what is not so now."""
    with pytest.raises(DeadlineMissed) as missed:
        wait_for(Stack(), condition, name, 0)
    return str(missed.value)


def test_a_version_is_waited_for_until_it_serves(loop):
    """Nothing serves, another version serves, then this one."""
    assert "version 2 must serve; got none" in missing(Condition.VERSION, "2")
    loop.serve("1")
    assert "version 2 must serve; got 1" in missing(Condition.VERSION, "2")
    loop.serve("2")

    reached = wait_for(Stack(), Condition.VERSION, "2", 0)
    assert ("version", "2") == (reached["condition"], reached["name"])


def test_a_version_that_is_about_to_be_replaced_is_waited_for_until_it_stays(loop):
    """As after a promote and at once a rollback: what serves is right, and a release of another one still starts."""
    loop.serve("2")
    loop.supervised.roll_out(toy("3"))
    told = "version 2 must serve; got 2, and version 3 is starting"
    with pytest.raises(DeadlineMissed, match=told):
        loop.wait_until_served("2", 0)
    assert told in missing(Condition.VERSION, "2")
    loop.serve("2")

    loop.wait_until_served("2", 0)


def test_a_version_that_was_given_up_is_not_waited_for(loop):
    """The reason comes at once; while it is tried again by itself, or is another's, it is waited for."""
    loop.serve("1")
    loop.trained = ["b-1", "b-2"]
    release = loop.supervised.roll_out(toy("2"))
    loop.supervised.fail_release(release, Outcome.COULD_NOT, "MLflow is away")
    assert "version 2 must serve; got 1, and version 2 is starting" in missing(Condition.VERSION, "2")
    loop.supervised.fail_release(release, Outcome.REFUSED, "its golden rows differ")

    told = "version 2 must serve; release 2 of it was given up: its golden rows differ"
    with pytest.raises(Hopeless, match=told):
        loop.wait_until_served("2", 1)
    for condition, name in ((Condition.VERSION, "2"), (Condition.BATCH, "b-2")):
        with pytest.raises(Hopeless, match=told):
            wait_for(Stack(), condition, name, 1)
    loop.wait_until_served("1", 0)  # nothing replaces it


def test_a_batch_is_waited_for_until_its_version_serves(loop):
    """It becomes a version, which then takes over from the one of another batch."""
    loop.trained = ["b-1"]
    loop.serve("1")
    assert "batch b-2 must become a version; there is none yet" in missing(Condition.BATCH, "b-2")
    loop.trained = ["b-1", "b-2"]
    assert "version 2 must serve; got 1" in missing(Condition.BATCH, "b-2")
    loop.serve("2")

    reached = wait_for(Stack(), Condition.BATCH, "b-2", 0)
    assert ("batch", "b-2") == (reached["condition"], reached["name"])


def test_a_batch_that_was_refused_is_not_waited_for(loop):
    """It cannot become a version any more: the reason comes at once and not when the time is over."""
    loop.refused = {"b-1": "it has no rows"}

    with pytest.raises(Hopeless, match="batch b-1 must be trained on; it was refused: it has no rows"):
        wait_for(Stack(), Condition.BATCH, "b-1", 1)


def test_a_batch_whose_version_was_withheld_is_waited_for_only_when_a_person_promoted_it(loop):
    """The reason comes at once, as for one that was refused."""
    loop.trained, loop.withhold = ["b-1", "b-2"], {"b-2": "it is worse"}
    loop.serve("1")

    with pytest.raises(Hopeless, match="version 2 of batch b-2 must serve; it is not champion: it is worse"):
        wait_for(Stack(), Condition.BATCH, "b-2", 1)
    loop.promoted = "2"
    assert "version 2 must serve; got 1" in missing(Condition.BATCH, "b-2")
