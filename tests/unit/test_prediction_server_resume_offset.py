"""Where a server starts, so that whatever its predecessors did, every request is answered."""

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from apps.prediction_server.resume_offset import ResumePoint, resume_offset

WINDOW = 8
REQUESTS = 60


@dataclass
class Writer:
    """A server: it answers from its start on, in order, for as long as it lives."""

    at: int


def start(log, earliest=0, end=REQUESTS):
    """Where a server that starts now begins: it sees the newest records of the log."""
    return resume_offset(log[-WINDOW:], earliest, end, WINDOW)


def test_the_first_server_starts_at_the_earliest_request():
    """
    An empty answers topic means that nothing was answered of what is still there.
    """
    assert ResumePoint(7) == resume_offset([], 7, 20)


def test_a_server_goes_on_behind_the_highest_answer():
    """
    Without a hole the start is the request behind the last one answered.
    """
    assert ResumePoint(6) == resume_offset([3, 4, 5], 0, 20)
    assert ResumePoint(6) == resume_offset([3, 4, 5, 4, 5, 3], 0, 20)


def test_a_hole_between_answers_is_where_a_server_starts():
    """
    A request that was passed over is answered by the next server.
    """
    assert ResumePoint(4) == resume_offset([2, 3, 5, 6], 0, 20)


def test_a_late_repeat_of_a_paused_server_does_not_throw_the_start_back():
    """
    Answers further below the highest one than the window are not looked at.
    """
    assert ResumePoint(1001) == resume_offset([1, 2, 999, 1000, 3], 0, 2000, window=10)


def test_an_answer_to_a_request_that_does_not_exist_is_ignored():
    """
    A record that claims an offset which the topic has not reached would make the server skip requests.
    """
    assert ResumePoint(6, ignored=2) == resume_offset([4, 5, 10**15, -3], 0, 20)
    assert ResumePoint(0, ignored=3) == resume_offset([90, 91, 92], 0, 20)


def test_requests_that_expired_unanswered_are_counted():
    """
    The start is never before the earliest request that is left, and what is gone is told.
    """
    assert ResumePoint(10, expired=4) == resume_offset([4, 5], 10, 20)
    assert ResumePoint(10, expired=5) == resume_offset([2, 4, 5], 10, 20)
    assert ResumePoint(11, expired=1) == resume_offset([6, 8, 9, 10], 8, 20)


def test_the_start_is_at_most_the_end():
    """
    A server that finds everything answered waits for the next request.
    """
    assert ResumePoint(20) == resume_offset(range(10, 20), 0, 20)


@given(st.data())
def test_nothing_is_lost_whichever_servers_wrote(data):
    """
    Any number of servers, each from its own start, paused, woken and killed at any point: every request below the
    start of the next server is answered.
    """
    log, writers = [], []
    for _ in range(data.draw(st.integers(0, 25))):
        act = data.draw(st.sampled_from(["start", "write", "write", "write", "kill"]))
        if act == "start" or not writers:
            writers.append(Writer(start(log).offset))
        writer = data.draw(st.sampled_from(writers))
        if act == "kill":
            writers.remove(writer)
        elif act == "write":
            count = min(data.draw(st.integers(1, 12)), REQUESTS - writer.at)
            log += range(writer.at, writer.at + count)
            writer.at += count

    found = start(log)

    assert set(range(found.offset)) <= set(log)
    assert found.offset > max(log[-WINDOW:], default=0) - WINDOW
    assert found.expired == found.ignored == 0


@given(st.integers(1, WINDOW - 2), st.integers(0, 40))
def test_the_loss_of_any_answer_in_the_window_is_found(place, first):
    """
    Where one record of the tail is missing, the next server starts there.
    """
    tail = list(range(first, first + WINDOW))
    lost = tail.pop(place)

    assert ResumePoint(lost) == resume_offset(tail, 0, REQUESTS, WINDOW)


@given(
    answered=st.lists(st.integers(-5, 80)),
    earliest=st.integers(0, 40),
    length=st.integers(0, 40),
    window=st.integers(1, 20),
)
def test_the_start_is_a_request_that_is_there_and_unanswered(answered, earliest, length, window):
    """
    Whatever the topic holds, the start lies between earliest and end, and no request is passed over unanswered
    between the window's lowest answer and the start.
    """
    end = earliest + length

    found = resume_offset(answered, earliest, end, window)

    real = {offset for offset in answered if 0 <= offset < end}
    low = max(min((o for o in real if o > max(real) - window), default=earliest), earliest)
    assert earliest <= found.offset <= max(end, earliest)
    assert set(range(low, found.offset)) <= real
    assert found.offset not in {o for o in real if o > max(real) - window}
