"""Whether an infer would be answered, as far as the topics tell."""

import pytest

from apps.gateway.progress import AnswerProgress, Serving, waits_for
from tests.unit.gateway_by_hand import NOW_MS, answer


def progress(*asked, answered=()):
    """Requests (offset, milliseconds after now) and answers to them."""
    found = AnswerProgress()
    for offset, later in asked:
        found.asked(0, offset, NOW_MS + later)
    for offset, later in answered:
        found.answered(answer("a", offset, stamp=NOW_MS + later), NOW_MS + later)
    return found


def test_the_oldest_request_that_waits_is_known_to_a_second():
    """
    An answer to a later request of a partition says that those before are answered; other partitions are their own.
    """
    found = progress((0, 0), (1, 100), (2, 5000), answered=[(1, 100)])
    found.asked(1, 0, NOW_MS + 7000)

    assert NOW_MS + 5000 == found.waiting_since()
    found.answered(answer("a", 2, stamp=NOW_MS + 5000), NOW_MS + 8000)
    assert NOW_MS + 7000 == found.waiting_since()
    assert None is progress((0, 0), answered=[(0, 0)]).waiting_since()


def test_an_answer_may_be_read_before_its_request_and_offsets_may_be_used_again():
    """
    Places are compared by time first.
    """
    found = progress(answered=[(10, 0)])
    found.asked(0, 10, NOW_MS)
    assert None is found.waiting_since()
    found.asked(0, 3, NOW_MS + 50)
    assert NOW_MS + 50 == found.waiting_since()


def test_a_day_of_requests_that_wait_is_some_marks():
    """
    A hundred thousand requests within ten seconds are ten of them.
    """
    found = progress(*((number, number // 10) for number in range(100_000)))

    assert 10 == len(found._waiting[0])  # noqa: SLF001 - its memory is the claim
    assert NOW_MS == found.waiting_since()


def test_the_newest_release_that_still_answers_serves():
    """
    During a hand-over the newer of two; one that failed its proof soon answers no more, and the older one is back.
    """
    found = progress()
    assert (None, []) == (found.serving(), found.answering())
    for release, seconds in ((1, 0), (2, 1), (1, 2)):
        found.answered(answer("a", 1, version=f"v{release}", release=release), NOW_MS + 1000 * seconds)
    assert Serving("v2", 2) == found.serving()
    assert [Serving("v2", 2), Serving("v1", 1)] == found.answering()
    found.answered(answer("a", 1, version="v1", release=1), NOW_MS + 12_000)
    assert [Serving("v1", 1)] == [found.serving()] == found.answering()


@pytest.mark.parametrize(
    ("unread", "silent", "asked", "answered", "words"),
    [
        (["t", "t"], 0, [], [(0, 0)], "t must be read to the end first"),
        ([], 7, [], [(0, 0)], "Kafka must answer; it has been silent for 7 s"),
        ([], 0, [(0, 0)], [], "a version must serve; none has answered yet"),
        ([], 0, [(0, 0), (1, 1000)], [(0, 0)], "the oldest has waited for 11 s"),
        ([], 0, [(0, 0), (1, 3000)], [(0, 0)], ""),
        ([], 0, [], [(0, 0)], ""),
    ],
)
def test_what_keeps_an_infer_from_being_answered_is_said(unread, silent, asked, answered, words):
    """
    One thing at a time, in the order in which they come true; nothing when it is ready.
    """
    told = waits_for(progress(*asked, answered=answered), unread, silent, NOW_MS + 12_000, 10)

    assert words in told
    assert bool(words) == bool(told)
