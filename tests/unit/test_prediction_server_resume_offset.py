"""Where a server starts, so that whatever its predecessors did, every request is answered."""

from dataclasses import dataclass, field, replace

from hypothesis import given
from hypothesis import strategies as st

from apps.prediction_server.resume_offset import ResumePoint, StandingRequest, TailAnswer, resume_offset

WINDOW = 8
REQUESTS = 60


@dataclass
class RequestLog:
    """A requests partition: what stands at each offset; one without a request holds None, as a commit marker does."""

    requests: list = field(default_factory=list)
    sent: int = 0
    reads: list = field(default_factory=list)

    def send(self, count=1):
        for _ in range(count):
            self.sent += 1
            self.requests.append(StandingRequest(f"r{self.sent}".encode(), self.sent))

    def lose(self, count):
        del self.requests[len(self.requests) - count :]

    def answer(self, offset):
        request = self.requests[offset]
        return TailAnswer(offset, request.key, request.timestamp, f"0-{offset}".encode())

    def standing(self, first, end):
        self.reads.append((first, end))
        return {offset: self.requests[offset] for offset in range(first, end) if self.requests[offset]}


@dataclass
class AnsweringServer:
    """A server: it answers from its start on, in order, for as long as it lives."""

    at: int


def resume(offsets, earliest, end, window=WINDOW, timestamps=True):
    """Where a server begins that finds answers to ``offsets`` of a log that stands as it stood."""
    log = RequestLog()
    log.send(max([end, *(offset + 1 for offset in offsets if offset < 10_000)]))
    nobody = TailAnswer(0, b"r0", 0, b"")
    answers = [
        log.answer(offset) if 0 <= offset < len(log.requests) else replace(nobody, offset=offset) for offset in offsets
    ]
    log.lose(len(log.requests) - end)
    if not timestamps:
        answers = [replace(answer, timestamp=None) for answer in answers]
    return resume_offset(answers, log.standing, earliest, end, window)


def test_the_first_server_starts_at_the_earliest_request():
    """
    An empty answers topic means that nothing was answered of what is still there.
    """
    assert ResumePoint(7) == resume([], 7, 20)


def test_a_server_goes_on_behind_the_highest_answer():
    """
    Without a hole the start is the request behind the last one answered.
    """
    assert ResumePoint(6) == resume([3, 4, 5], 0, 20)
    assert ResumePoint(6) == resume([3, 4, 5, 4, 5, 3], 0, 20)


def test_a_hole_between_answers_is_where_a_server_starts():
    """
    A request that was passed over is answered by the next server.
    """
    assert ResumePoint(4) == resume([2, 3, 5, 6], 0, 20)


def test_a_late_repeat_of_a_paused_server_does_not_throw_the_start_back():
    """
    Answers further below the highest one than the window are not looked at.
    """
    assert ResumePoint(1001) == resume([1, 2, 999, 1000, 3], 0, 2000, window=10)


def test_an_answer_to_a_request_that_does_not_exist_is_ignored():
    """
    A record that claims an offset which the topic has not reached would make the server skip requests.
    """
    assert ResumePoint(6, ignored=2) == resume([4, 5, 10**15, -3], 0, 20)
    assert ResumePoint(0, ignored=3) == resume([90, 91, 92], 0, 20)


def test_requests_that_expired_unanswered_are_counted():
    """
    The start is never before the earliest request that is left, and what is gone is told.
    """
    assert ResumePoint(10, expired=4) == resume([4, 5], 10, 20)
    assert ResumePoint(10, expired=5) == resume([2, 4, 5], 10, 20)
    assert ResumePoint(11, expired=1) == resume([6, 8, 9, 10], 8, 20)


def test_the_start_is_at_most_the_end():
    """
    A server that finds everything answered waits for the next request.
    """
    assert ResumePoint(20) == resume(range(10, 20), 0, 20)


def test_an_answer_to_a_request_that_was_lost_does_not_count():
    """
    A broker that lost the end of its log uses the offsets again: what stands there now is owed an answer.
    """
    log = RequestLog()
    log.send(10)
    tail = [log.answer(offset) for offset in range(10)]
    log.lose(4)
    log.send(9)

    assert ResumePoint(6, ignored=4) == resume_offset(tail, log.standing, 0, 15)


def test_a_topic_that_was_made_anew_is_answered_from_its_beginning():
    """
    Its offsets begin again, and the answers of before stay for days.
    """
    before, log = RequestLog(), RequestLog(sent=100)
    before.send(50)
    log.send(20)
    tail = [before.answer(offset) for offset in range(50)]

    assert ResumePoint(0, ignored=50) == resume_offset(tail, log.standing, 0, 20)


def test_an_offset_without_a_request_is_no_hole():
    """
    The markers of a transaction take offsets that nobody can answer.
    """
    log = RequestLog()
    log.send(8)
    tail = [log.answer(offset) for offset in (0, 1, 3, 4, 6, 7)]
    log.requests[2] = None

    assert ResumePoint(5) == resume_offset(tail, log.standing, 0, 8)
    log.requests[5] = None
    assert ResumePoint(8) == resume_offset(tail, log.standing, 0, 8)


def test_a_request_without_an_id_is_known_by_its_place():
    """
    Its answer's key is the place; and two requests at one offset differ by the broker's timestamp.
    """
    log = RequestLog()
    log.send(1)
    log.requests[0] = StandingRequest(None, 7)

    assert TailAnswer(0, b"0-0", 7, b"0-0").answers(log.requests[0])
    assert not TailAnswer(0, b"0-0", 8, b"0-0").answers(log.requests[0])
    assert not TailAnswer(0, b"r1", 7, b"0-0").answers(log.requests[0])


def test_answers_of_a_server_without_timestamps_are_known_by_their_ids():
    """
    A stack that is upgraded goes on where it was.
    """
    assert ResumePoint(6) == resume([3, 4, 5], 0, 20, timestamps=False)


def test_one_request_is_read_where_all_is_well():
    """
    The start of a server waits for this.
    """
    log = RequestLog()
    log.send(20)

    assert ResumePoint(9) == resume_offset([log.answer(offset) for offset in range(9)], log.standing, 0, 20)
    assert [(8, 9)] == log.reads


@given(st.data())
def test_nothing_is_lost_whichever_servers_wrote(data):
    """
    Any number of servers, each from its own start, paused, woken and killed at any point, on a log that loses its end
    and takes new requests: every request that stands below the start of the next server is answered.
    """
    log, answers, writers = RequestLog(), [], []
    log.send(REQUESTS)

    def begin():
        return resume_offset(answers[-WINDOW:], log.standing, 0, len(log.requests), WINDOW)

    for _ in range(data.draw(st.integers(0, 25))):
        act = data.draw(st.sampled_from(["start", "write", "write", "write", "kill", "lose"]))
        if act == "lose":  # its servers end: what they were to read next is gone
            log.lose(data.draw(st.integers(0, len(log.requests))))
            log.send(data.draw(st.integers(0, REQUESTS)))
            writers.clear()
        if act == "start" or not writers:
            writers.append(AnsweringServer(begin().offset))
        writer = data.draw(st.sampled_from(writers))
        if act == "kill":
            writers.remove(writer)
        elif act == "write":
            count = min(data.draw(st.integers(1, 12)), len(log.requests) - writer.at)
            answers += [log.answer(offset) for offset in range(writer.at, writer.at + count)]
            writer.at += count

    found = begin()

    answered = {(answer.offset, answer.timestamp) for answer in answers}
    assert {(offset, log.requests[offset].timestamp) for offset in range(found.offset)} <= answered
    assert found.expired == 0


@given(st.integers(1, WINDOW - 2), st.integers(0, 40))
def test_the_loss_of_any_answer_in_the_window_is_found(place, first):
    """
    Where one record of the tail is missing, the next server starts there.
    """
    tail = list(range(first, first + WINDOW))
    lost = tail.pop(place)

    assert ResumePoint(lost) == resume(tail, 0, REQUESTS)


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

    found = resume(answered, earliest, end, window)

    real = {offset for offset in answered if 0 <= offset < end}
    low = max(min((o for o in real if o > max(real) - window), default=earliest), earliest)
    assert earliest <= found.offset <= max(end, earliest)
    assert set(range(low, found.offset)) <= real
    assert found.offset not in {o for o in real if o > max(real) - window}
