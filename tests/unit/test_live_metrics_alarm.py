"""The alarm's judgement: what passes, what fails, and what says nothing."""

import math
import random

from apps.live_metrics.alarm import Conclusion, Reference, Rule, judge, reference
from apps.live_metrics.windows import Sums

RULE = Rule(margin=0.25, outcomes=100, failures=2)
TO = Reference("its own test RMSE of 3", 3.0)


def window(rmse, labelled=400, seed=1):
    """The sums of so many normal errors."""
    draw, sums = random.Random(seed), Sums(answers=labelled)
    for _ in range(labelled):
        error = draw.gauss(0, rmse)
        sums.add(Sums(labelled=1, error=error, square=error**2, fourth=error**4))
    return sums


def found(*windows, to=TO, settled=None, rule=RULE):
    """What is found of version 5 whose windows are these, a minute each."""
    sums = {("5", 60 * number): one for number, one in enumerate(windows)}
    return judge(sums, "5", [60 * n for n in range(len(windows))] if settled is None else settled, to, rule)


def test_two_windows_in_a_row_beyond_margin_and_chance_fail_and_the_evidence_is_shown():
    """RMSE, interval and count of both windows, and what was allowed."""
    finding = found(window(3), window(6), window(6, seed=2))

    assert finding.judgement is Conclusion.FAIL
    assert "00:01:00Z: RMSE 5.682 (95 %: 5.268 to 6.068, n = 400)" in finding.reason
    assert "00:02:00Z: RMSE" in finding.reason
    assert 2 == finding.reason.count("n = 400")
    assert "at most 3.75 is allowed: its own test RMSE of 3, and 25%" in finding.reason


def test_a_window_that_passes_or_is_of_a_small_sample_breaks_no_promotion():
    """One failure after a pass is not two in a row; too few outcomes, and none at all, say nothing."""
    assert found(window(6), window(3)).judgement is Conclusion.PASS
    assert found(window(3), window(6)).judgement is Conclusion.PASS
    assert found(window(30, labelled=99), window(30, labelled=99)).judgement is Conclusion.INCONCLUSIVE
    assert found(Sums(answers=500), Sums()).judgement is Conclusion.INCONCLUSIVE
    assert found().judgement is Conclusion.INCONCLUSIVE


def test_one_failed_window_is_not_enough_where_two_are_asked_for():
    """And with one asked for it is."""
    assert found(window(6)).judgement is Conclusion.PASS
    assert found(window(6), rule=Rule(0.25, 100, 1)).judgement is Conclusion.FAIL


def test_windows_that_are_not_settled_do_not_count():
    """However bad they look."""
    assert found(window(30), window(30), settled=[]).judgement is Conclusion.INCONCLUSIVE
    assert found(window(30), window(30), settled=[0]).judgement is Conclusion.PASS


def test_an_error_that_chance_may_explain_is_inconclusive_and_stands_between_two_failures():
    """It is beyond the bound, and its interval is not: it neither fails nor ends the row."""
    near = window(4.1)
    low, high = near.rmse_bounds()
    assert low < 3.75 < math.sqrt(near.square / near.labelled) < high

    assert found(near, near).judgement is Conclusion.INCONCLUSIVE
    assert found(window(6), near, window(6)).judgement is Conclusion.FAIL


def test_the_version_before_is_the_reference_while_enough_is_known_of_it_else_the_test_error():
    """Its interval's upper end; with neither nothing can fail."""
    known = {("4", 0): window(3, 80), ("4", 60): window(3, 80, seed=2), ("5", 60): window(9)}
    to = reference(known, "4", 1.0, RULE)

    assert 3 < to.rmse < 4
    assert "version 4's live RMSE" in to.what
    assert "n = 160" in to.what
    assert reference({("4", 0): window(3, 80)}, "4", 2.5, RULE) == Reference("its own test RMSE of 2.5", 2.5)
    assert reference(known, None, 2.5, RULE).rmse == 2.5
    assert reference({}, "4", None, RULE) is None
    assert reference({}, "4", math.nan, RULE) is None
    assert found(window(30), window(30), to=None).judgement is Conclusion.INCONCLUSIVE


def test_no_false_alarm_in_two_hundred_runs_of_ten_windows_of_an_equal_model():
    """Heavy tails, as prices have them: the errors of both versions are drawn from one distribution."""
    draw = random.Random(9)

    def heavy():
        sums = Sums(answers=150)
        for _ in range(150):
            error = 3 * draw.gauss(0, 1) * math.exp(0.5 * draw.gauss(0, 1))
            sums.add(Sums(labelled=1, error=error, square=error**2, fourth=error**4))
        return sums

    for _ in range(200):
        to = reference({("4", 60 * n): heavy() for n in range(10)}, "4", None, RULE)
        assert found(*(heavy() for _ in range(10)), to=to).judgement is Conclusion.PASS
