"""When a standby makes room for another process."""

import pytest

from apps.prediction_server.progress_rules import Look
from apps.prediction_server.standby_rules import FENCE_S, StandbyRules

OWN = 3


def rules(**more):
    """The standby of a server of release 3."""
    return StandbyRules(OWN, "t1", 1, 5, lambda *_: True, began=0, **more)


def reasons(judge, *looks):
    """What each look (moment, who answered what is asked now) leads to."""
    return [judge.superseded(Look(at, "t1", 1, 1, {0: 9}, {0: 9}, others=others)) for at, others in looks]


@pytest.mark.parametrize("release", [OWN - 1, OWN, OWN + 1])
@pytest.mark.parametrize("every", [FENCE_S, 30, 3600])
def test_one_that_answers_leaves_for_whoever_answers_too(release, every):
    """
    The server is back, or another release serves; however seldom somebody asks, the second answer shows it.
    """
    first, between, second = reasons(
        rules(answering=True), (10, {"p": release}), (11, {}), (10 + every, {"p": release})
    )

    assert [None, None] == [first, between]
    assert f"release {release} answers for {every} s" == second


def test_one_that_looks_on_leaves_for_another_release_alone():
    """
    Its own is what it stands by for.
    """
    assert [None, None] == reasons(rules(), (10, {"p": OWN}), (99, {"p": OWN}))
    assert [None, "release 2 answered last"] == reasons(rules(), (10, {"p": OWN - 1}), (99, {"p": OWN - 1}))


def test_one_that_looks_on_follows_a_roll_out_after_which_nobody_asks():
    """
    Both releases answered the last probe; then there is silence, in which the standby must not stay what it was.
    """
    both = {"old": OWN, "new": OWN + 1}

    assert [None, None, "release 4 answered last"] == reasons(rules(), (10, both), (11, {}), (10 + FENCE_S, {}))


def test_one_that_looks_on_stays_where_the_other_release_did_not():
    """
    It answered its probes and died: the server that serves answered since.
    """
    looks = (10, {"old": OWN, "new": OWN + 1}), (12, {"old": OWN}), (10 + FENCE_S, {}), (99, {})

    assert [None] * 4 == reasons(rules(), *looks)


def test_one_that_has_followed_stays_though_the_release_before_answers_too():
    """
    The server before may answer the last probe after the new one did.
    """
    assert [None] * 3 == reasons(rules(), (10, {"old": OWN - 1, "new": OWN}), (10 + FENCE_S, {}), (99, {}))


def test_processes_that_die_soon_are_no_reason():
    """
    A server that crashes again and again answers each time, by another process.
    """
    looks = [(at, {f"p{at}": OWN + 1}) for at in range(0, 60, 2)]
    assert [None] * 30 == reasons(rules(answering=True), *looks)
