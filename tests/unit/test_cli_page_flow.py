"""The hour that the page shows: seconds, percentiles, silences and lag out of records and ends."""

import time

import pytest

from apps.common.messages import IN_OFFSET, IN_PARTITION, IN_TIMESTAMP, MODEL_VERSION, RELEASE
from stack.cli.page.flow import KEPT_S, RELEASES_KEPT, Flow, percentile
from stack.cli.page.reader import note_answer

NOW = 1_800_000_000.0
MS = int(NOW * 1000)


def answered(flow, count, every_ms=10, waits_ms=5, partition=0, first=0, start_ms=MS):
    """Answer so many requests, one each ``every_ms``."""
    for number in range(count):
        at = start_ms + number * every_ms
        flow.answer(partition, first + number, at, at + waits_ms, 1, "1")


def test_a_second_tells_how_many_were_answered_and_how_late():
    """Answers are counted in the second of their own time, and p50 and p99 are within 5 % of what they waited."""
    flow = Flow(began=NOW + 100)
    answered(flow, 98, every_ms=5, waits_ms=40)
    answered(flow, 2, every_ms=5, waits_ms=400, first=98, start_ms=MS + 500)
    _, [[at, requests, answers, p50, p99, _]] = flow.since(0)

    assert (int(NOW), 100, 100) == (at, requests, answers)
    assert p50 == pytest.approx(40, rel=0.05)
    assert p99 == pytest.approx(400, rel=0.05)


def test_a_repeat_counts_once_and_a_topic_made_anew_begins_again():
    """The second answer to a position is nothing; one to a later request at that position is one."""
    flow = Flow(NOW)
    answered(flow, 3)
    answered(flow, 3)
    flow.answer(0, 0, MS + 5000, MS + 5005, 2, "2")

    assert 4 == sum(row[2] for row in flow.since(0)[1])


def test_a_silence_lasts_from_the_last_answer_or_the_request_until_the_next_answer():
    """Nothing was due for nine seconds, then a request waited for 700 ms: that is the silence."""
    flow = Flow(NOW)
    flow.answer(0, 0, MS, MS + 5, 1, "1")
    flow.answer(0, 1, MS + 9000, MS + 9700, 1, "1")

    assert [5, 700] == [row[5] for row in flow.since(0)[1] if row[2]]


def test_silence_now_counts_only_while_a_request_waits():
    """Each look at the ends that finds the same request waiting makes the silence longer; an answer ends it."""
    flow = Flow(NOW)
    answered(flow, 1)
    flow.ends({0: 1}, NOW + 1)
    idle = flow.now(NOW + 60)
    flow.ends({0: 3}, NOW + 60)
    waits = flow.now(NOW + 64)
    answered(flow, 2, first=1, start_ms=MS + 65_000)
    over = flow.now(NOW + 66)

    assert (0, 0.0) == (idle["waiting"], idle["silence_s"])
    assert (2, 4.0) == (waits["waiting"], waits["silence_s"])
    assert [{"partition": 0, "waiting": 0, "silence_s": 0.0}] == over["partitions"]


def test_a_partition_without_answers_is_owed_everything_in_it():
    """Its first request is the next one, so all of them wait."""
    flow = Flow(NOW)
    flow.place(0, 5)
    flow.ends({0: 9}, NOW)

    assert 4 == flow.now(NOW)["waiting"]


def test_requests_are_spread_over_the_time_since_the_last_look():
    """A look that comes late makes no peak: 100 requests of two seconds are 50 in each."""
    flow = Flow(NOW)
    flow.ends({0: 0}, NOW)
    flow.ends({0: 100}, NOW + 2)

    assert [50, 50] == [row[1] for row in flow.since(0)[1]]


def test_a_release_spans_its_answers():
    """Which release answered from when to when, the newest hundred of them."""
    flow = Flow(NOW)
    for release in range(RELEASES_KEPT + 20):
        flow.answer(0, release, MS + release * 1000, MS + release * 1000 + 5, release, "7")
    kept = list(flow.releases.values())

    assert (RELEASES_KEPT, RELEASES_KEPT + 19) == (len(kept), kept[-1].release)
    assert NOW + RELEASES_KEPT + 19.005 == pytest.approx(kept[-1].first_at)


def test_only_what_changed_is_told_again():
    """A browser that knows all up to a change is told of the second that was touched since, and of no other."""
    flow = Flow(NOW)
    answered(flow, 500)
    change, rows = flow.since(0)
    flow.answer(0, 500, MS + 5000, MS + 5001, 1, "1")

    assert 5 == len(rows)
    assert [int(NOW) + 5] == [row[0] for row in flow.since(change)[1]]


def test_hours_of_traffic_are_an_hour_of_seconds_and_cost_little():
    """After three hours an hour is kept, and what changed in one second is found and told in a few milliseconds."""
    flow = Flow(NOW)
    for second in range(3 * KEPT_S):
        for number in range(4):
            at = MS + second * 1000 + number * 200
            flow.answer(number % 2, second * 2 + number // 2, at, at + 20, 1, "1")
    change, rows = flow.since(0)
    flow.answer(0, 6 * KEPT_S, MS + 3 * KEPT_S * 1000, MS + 3 * KEPT_S * 1000 + 5, 1, "1")
    began = time.process_time()
    flow.now(NOW + 3 * KEPT_S)
    flow.since(change)

    assert KEPT_S == len(rows)
    assert time.process_time() - began < 0.1


def test_a_percentile_of_nothing_is_not_known():
    """None, and no zero that would look like a figure."""
    assert percentile({}, 0.5) is None


@pytest.mark.parametrize("headers", [None, [], [(IN_PARTITION, b"x")], [(IN_PARTITION, None)]])
def test_a_foreign_record_is_passed_over(headers):
    """What no server of ours wrote notes nothing; what one wrote is noted as what it means."""
    noted = []
    named = {IN_PARTITION: b"1", IN_OFFSET: b"7", IN_TIMESTAMP: b"30", RELEASE: b"2", MODEL_VERSION: b"3"}
    note_answer(lambda *told: noted.append(told), headers, 40)
    note_answer(lambda *told: noted.append(told), list(named.items()), 40)

    assert [(1, 7, 30, 40, 2, "3")] == noted
