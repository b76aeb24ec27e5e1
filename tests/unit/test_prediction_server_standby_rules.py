"""When a standby begins to suspect that nobody answers."""

from apps.prediction_server.standby_rules import RETURNS_S, StandbyRules

WAIT_S = 1


def suspicions(rules, *looks):
    """What each look (moment, requests, answers) of one partition leads to."""
    return [rules.suspicious(at, {0: asked}, {0: answered}) for at, asked, answered in looks]


def test_a_request_that_nobody_answers_is_suspicious_after_a_while():
    """
    Every answer after it begins the time anew, whosever it is; what was there at the first look counts for nothing.
    """
    assert [False, False, False, True] == suspicions(
        StandbyRules(WAIT_S), (10, 5, 5), (11, 6, 5), (11.9, 7, 5), (12, 8, 5)
    )
    assert [False, False, False, False, True] == suspicions(
        StandbyRules(WAIT_S), (10, 5, 5), (11, 6, 5), (11.5, 7, 6), (12.4, 7, 6), (12.5, 7, 6)
    )
    assert [False, False] == suspicions(StandbyRules(WAIT_S), (10, 9, 2), (99, 9, 2))


def test_what_was_answered_is_not_suspicious():
    """
    An answer without another request is that of the last one.
    """
    assert [False, False, False, False] == suspicions(
        StandbyRules(WAIT_S), (10, 5, 5), (11, 6, 5), (11.5, 6, 6), (99, 6, 6)
    )


def test_one_silent_partition_is_enough():
    """
    The other one is answered all the while.
    """
    rules = StandbyRules(WAIT_S)
    seen = [rules.suspicious(at, {0: at, 1: min(at, 6)}, {0: at, 1: 5}) for at in (5, 6, 7)]
    assert [False, False, True] == seen


def test_a_suspicion_that_was_unfounded_is_over():
    """
    Request and answer may come in the moment of one look.
    """
    rules = StandbyRules(WAIT_S)
    assert [False, False, True] == suspicions(rules, (10, 5, 5), (11, 6, 6), (12, 6, 6))
    rules.unfounded()
    assert [False] == suspicions(rules, (99, 6, 6))


def test_a_broker_that_was_away_is_no_reason():
    """
    Whoever serves needs a while to come back to it, as its clients do.
    """
    rules = StandbyRules(WAIT_S)
    suspicions(rules, (10, 5, 5), (11, 6, 5))
    rules.broker_away(11.5)
    assert [False, False, True] == suspicions(rules, (12, 6, 5), (12.5, 7, 5), (11.5 + RETURNS_S, 7, 5))
