"""How latencies and silences are measured."""

import pytest

from apps.common.messages import Answer, Send
from loadtest.timing import RequestWait, latency, lateness, outside, silences


def waits_of(*sent_and_seen):
    """One answered request in partition 0 for each pair of moments."""
    return [RequestWait(0, sent, Answer("r", 0, 0, "4", 1, 1.0, None, seen)) for sent, seen in sent_and_seen]


def test_a_steady_stream_is_silent_from_answer_to_answer_only():
    """While requests keep waiting, each first answer ends one silence and begins the next."""
    waits = waits_of(*((float(n), n + 5.0) for n in range(10)))

    assert max(one.ms for one in silences(waits, 20.0)) == 5000
    assert [one.ms for one in silences(waits, 20.0)][1:] == [1000.0] * 9


def test_percentiles_are_of_first_answers():
    """100 answers of 1 to 100 ms: the median is 50.5 ms and the worst 100 ms."""
    waits = waits_of(*((0.0, n / 1000) for n in range(1, 101)))
    measured = latency([*waits, RequestWait(0, 0.0, None)])

    assert measured.count == 100
    assert (measured.p50_ms, measured.worst_ms) == (pytest.approx(50.5), pytest.approx(100))
    assert measured.p99_ms == pytest.approx(99.01)
    assert latency([]).p50_ms is None


def test_lateness_is_the_senders_and_counts_each_request_whatever_became_of_it():
    """A request that was never acknowledged was sent late all the same; a journal of an earlier sender tells none."""
    sends = [Send("r", 0, n, 1.0, 2.0 if n % 2 else None, late_s=n / 1000) for n in range(101)]
    measured = lateness([*sends, Send.from_json('{"request_id": "s", "sent_at": 1.0}')])

    assert (measured.count, measured.p50_ms, measured.p99_ms, measured.worst_ms) == pytest.approx((101, 50, 99, 100))


def test_requests_during_a_training_can_be_left_out():
    """Whoever waited during a span is inside it, also when it was sent before."""
    waits = waits_of(*((at, at + 1.0) for at in (0.0, 4.5, 7.0, 11.0)))

    assert [one.sent_at for one in outside(waits, [(5.0, 10.0)])] == [0.0, 11.0]
