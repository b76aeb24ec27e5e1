"""When a server ends by itself: each rule on a history of looks, and none of them without a reason."""

import pytest

from apps.prediction_server.progress_rules import BEGIN_S, FORGET_S, Look, ProgressRules

STALL_S = 5
OWN = 3


def rules(owed=True):
    """A server of release 3 that reads two partitions and began long ago."""
    return ProgressRules(OWN, "t1", 2, STALL_S, lambda *_: owed, began=-BEGIN_S)


def look(at, ends=(10, 10), answered=(10, 10), **more):
    """What is seen at a moment."""
    facts = {"topic_id": "t1", "requests": 2, "answers": 2, **more}
    return Look(at, ends=dict(enumerate(ends)), answered=dict(enumerate(answered)), **facts)


def reasons(judge, *looks):
    """What each look leads to."""
    return [judge.reason_to_end(one) for one in looks]


def test_a_request_that_waits_while_nothing_is_answered_ends_the_server():
    """
    One partition is enough, and the reason says which request.
    """
    first, *waiting, last = reasons(rules(), *(look(at, ends=(10, 12)) for at in range(STALL_S + 1)))

    assert [first, *waiting] == [None] * STALL_S
    assert last == "partition 1: offset 10 of 12 is unanswered for 5 s"


def test_a_server_that_gets_on_stays_however_far_behind_it_is():
    """
    A backlog of any size is worked off; only an answer that does not come counts.
    """
    looks = [look(at, ends=(10**6, 0), answered=(at, 0)) for at in range(100)]

    assert reasons(rules(), *looks) == [None] * 100


def test_nothing_to_do_is_no_stall():
    """
    Neither an idle topic, nor offsets of a transaction's marks, at which no request stands.
    """
    assert reasons(rules(), *(look(at) for at in range(60))) == [None] * 60
    assert reasons(rules(owed=False), *(look(at, ends=(11, 10)) for at in range(60))) == [None] * 60


@pytest.mark.parametrize("came", range(60, 70))
def test_a_request_behind_a_transactions_mark_waits_as_long_as_any_other(came):
    """
    A mark stood at the end of the topic for a minute; what comes behind it is noticed, and not before its time.
    """
    judge = ProgressRules(OWN, "t1", 2, STALL_S, lambda _partition, _first, end: end > 11, began=-BEGIN_S)
    found = reasons(judge, *(look(at, ends=(11 + (at >= came), 10)) for at in range(came + 2 * STALL_S + 1)))
    noticed = next(at for at, reason in enumerate(found) if reason)

    assert STALL_S <= noticed - came <= 2 * STALL_S


def test_a_broker_that_was_away_gives_the_stream_time():
    """
    The stall is counted from when the broker answers again, after what its clients need to come back.
    """
    judge = rules()
    reasons(judge, look(0, ends=(11, 10)), look(3, ends=(11, 10)))
    judge.broker_away(4)

    found = reasons(judge, *(look(at, ends=(11, 10)) for at in (5, 20, 30, 4 + BEGIN_S + STALL_S)))

    assert found[:-1] == [None] * 3
    assert "offset 10 of 11" in found[-1]


def test_a_topic_made_anew_and_added_partitions_are_reasons_to_begin_anew():
    """
    The offsets of the one mean nothing any more; nobody reads the others.
    """
    assert "made anew" in rules().reason_to_end(look(0, topic_id="t2"))
    assert "have 3 partitions; this server reads 2" in rules().reason_to_end(look(0, requests=3, answers=3))


def test_topics_that_differ_are_told_once_and_the_server_stays():
    """
    A server that ended could not start again: its successor refuses such topics.
    """
    judge, unequal = rules(), look(0, requests=3)

    assert judge.reason_to_end(unequal) is None
    assert "got 2 for 3" in judge.unequal(unequal)
    assert judge.unequal(unequal) is None
    assert judge.unequal(look(1)) is None
    assert "got 2 for 3" in judge.unequal(unequal)


def test_a_server_leaves_when_a_newer_release_goes_on_answering():
    """
    One that was frozen while its successor took over must not answer first with the version before.
    """
    found = reasons(rules(), *(look(at, newest=OWN + 1) for at in range(0, BEGIN_S + STALL_S + 11, 5)))

    assert found[:-1] == [None] * (len(found) - 1)
    assert found[-1] == f"release {OWN + 1} answers for {BEGIN_S + STALL_S + 10} s"


def test_a_newer_release_that_leaves_a_partition_lying_ends_before_the_older_one_leaves():
    """
    It never got ready, and the older one answers that partition: with both gone nobody would.
    """
    old, new = rules(), ProgressRules(OWN + 1, "t1", 2, STALL_S, lambda *_: True, began=0)
    for at in range(100):
        ends = (at * 100 + 100,) * 2
        if reason := new.reason_to_end(look(at, ends, (ends[0], 50), newest=OWN + 1)):
            break
        assert old.reason_to_end(look(at, ends, ends, newest=OWN + 1)) is None

    assert "partition 1: offset 50" in reason


@pytest.mark.parametrize("newest", [0, OWN - 1, OWN])
def test_answers_of_its_own_or_an_older_release_are_no_reason(newest):
    """
    Repeats of the one before are usual at a hand-over.
    """
    assert reasons(rules(), *(look(at, newest=newest) for at in range(100))) == [None] * 100


def test_a_newer_release_that_failed_is_forgotten():
    """
    Its probes were answered, and then it was given up: the one that serves stays.
    """
    judge = rules()
    tries = [look(at, newest=OWN + 1) for at in (0, 1)] + [look(at, newest=OWN) for at in range(2, 60)]

    assert reasons(judge, *tries, look(61, newest=OWN + 1), look(61 + FORGET_S, newest=OWN + 1)) == [None] * 62
