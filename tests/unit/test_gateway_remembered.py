"""The window of requests and answers: whose answer counts, and what is forgotten."""

from dataclasses import replace

from apps.gateway.remembered import Remembered, Reply, digest
from tests.unit.gateway_by_hand import NOW_MS, answer

ONE, OTHER = digest(b"one", b"1"), digest(b"other", b"1")


def test_a_request_says_its_value_and_in_how_many_rows_it_came():
    """
    Another value, or the same in another number of rows, is another request.
    """
    assert 3 == len({digest(b"a", b"1"), digest(b"b", b"1"), digest(b"a", b"2")})
    assert digest(b"a", b"1") == digest(b"a", b"1")


def test_of_an_id_the_first_request_counts_and_of_a_request_the_first_answer():
    """
    The second request of an id and its answer, and a second answer, change nothing.
    """
    window = Remembered(600, 1000)
    window.asked("a", ONE, (0, 1), NOW_MS)

    assert ONE == window.asked("a", OTHER, (0, 2), NOW_MS).digest
    assert None is window.answered(answer("a", 2, 9.0))
    assert ("a", Reply(5.5, None, "3", 7)) == window.answered(answer("a", 1))
    assert None is window.answered(answer("a", 1, 8.0))
    assert 5.5 == window.find("a").reply.prediction


def test_an_answer_counts_only_for_the_request_that_stood_there_at_that_time():
    """
    A broker that lost the end of its log uses offsets again; an answer that names no time is for whatever stands there.
    """
    window = Remembered(600, 1000)
    window.asked("a", ONE, (0, 1), NOW_MS)

    assert None is window.answered(answer("a", 1, stamp=NOW_MS - 1))
    assert None is window.answered(replace(answer("b", 1), in_timestamp=None))
    assert window.answered(replace(answer("a", 1), in_timestamp=None))


def test_an_answer_may_be_read_before_its_request():
    """
    The topics are read side by side; it waits until its request is seen.
    """
    window = Remembered(600, 1000)
    window.answered(answer("a", 1))
    window.answered(replace(answer("b", 2), in_timestamp=None))

    assert window.asked("a", ONE, (0, 1), NOW_MS).reply
    assert window.asked("b", ONE, (0, 2), NOW_MS).reply
    assert None is window.asked("c", ONE, (0, 3), NOW_MS).reply


def test_what_is_old_or_too_much_is_forgotten_but_what_somebody_waits_for():
    """
    The oldest goes first, and one that was waited for with those that came meanwhile; so do answers without requests.
    """
    window = Remembered(10, 3)
    for offset in range(5):
        window.asked(f"r{offset}", ONE, (0, offset), NOW_MS + offset)
        window.answered(answer("x", 100 + offset))
    window.forget(NOW_MS, {"r0"})

    assert ["r0", "r3", "r4"] == [one for one in ("r0", "r1", "r2", "r3", "r4") if window.find(one)]
    assert 3 == len(window._early)  # noqa: SLF001 - it must not grow
    window.forget(NOW_MS + 10_004)
    assert ["r0", "r4"] == [one for one in ("r0", "r3", "r4") if window.find(one)]
    window.forget(NOW_MS + 10_005)
    assert 0 == len(window) == len(window._places) == len(window._early)  # noqa: SLF001


def test_an_answer_that_holds_anything_is_a_prediction_or_a_reason():
    """
    A foreign record may carry our headers: what is no finite number is a rejection.
    """
    assert Reply(1.0, None, "3", 7) == Reply.of(answer("a", 1, 1))
    for odd in (None, "x", [], True, float("nan"), float("inf")):
        assert Reply(None, "the answer holds no prediction", "3", 7) == Reply.of(answer("a", 1, odd))
    assert "no" == Reply.of(answer("a", 1, None, "no")).rejection
