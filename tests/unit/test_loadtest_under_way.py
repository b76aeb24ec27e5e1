"""Which requests wait: each leaves once, with its first answer or overdue."""

from loadtest.under_way import UnderWay


def test_an_answer_tells_how_long_its_request_waited_and_its_repeat_nothing():
    """The clock runs from when the request was due; a second answer to it counts for nothing."""
    under_way = UnderWay()
    under_way.add(b"one", 100.0)

    assert [2.5, None] == [under_way.answered(b"one", 102.5), under_way.answered(b"one", 103.0)]


def test_answers_to_others_requests_count_for_nothing():
    """Another process's key, a key of nobody's, and a record without one."""
    under_way = UnderWay()
    under_way.add(b"one", 100.0)

    assert [None, None] == [under_way.answered(key, 101.0) for key in (b"other", None)]
    assert 1 == len(under_way)


def test_what_waits_for_longer_than_the_deadline_is_overdue_once_and_its_late_answer_nothing():
    """At the deadline it leaves; what was due later stays."""
    under_way = UnderWay()
    for number in range(4):
        under_way.add(str(number).encode(), 100.0 + number)
    under_way.answered(b"1", 101.5)

    assert [[], [12.0, 10.0], []] == [under_way.overdue(now, 10) for now in (109.9, 112.0, 112.0)]
    assert [None, 9.5] == [under_way.answered(key, 112.5) for key in (b"0", b"3")]
    assert 0 == len(under_way)
