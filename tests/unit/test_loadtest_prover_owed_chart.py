"""The picture of what was owed: counted from the waits, with every mark in it."""

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from apps.common.messages import UNNAMED, Answer
from loadtest.prover.owed_chart import MOST, Mark, draw, owed
from loadtest.timing import RequestWait


def wait(sent_at, ended, partition=0):
    """A request that waits until then; for ever without."""
    answer = None if ended is None else Answer("r", partition, 0, UNNAMED, 0, None, None, ended)
    return RequestWait(partition, sent_at, answer)


def test_what_is_owed_rises_with_requests_and_falls_with_answers():
    """The most of each slice of time; what is never answered stays to the end."""
    waits = [wait(0.5, 2.5), wait(1.5, 2.6), wait(6.5, None), wait(3.5, 3.6, partition=1)]

    assert {0: [1, 2, 2, 0, 0, 0, 1, 1], 1: [0, 0, 0, 1, 0, 0, 0, 0]} == owed(waits, 0, 8, columns=8)


@settings(max_examples=25)
@given(st.lists(st.tuples(st.floats(0, 9), st.floats(0, 5)), min_size=1, max_size=50))
def test_the_right_edge_is_what_was_lost(times):
    """Whatever came in between."""
    waits = [wait(at, at + took if number % 3 else None) for number, (at, took) in enumerate(times)]
    last = max(one.answer.seen_at for one in waits if one.answer) if len(waits) > 1 else 0

    assert len(times) - len([one for one in waits if one.answer]) == owed(waits, 0, max(last, 9) * 2)[0][-1]


def test_the_picture_has_every_partition_and_every_mark():
    """A label is a text, whatever it holds."""
    marks = [Mark(2, 4, "command", "command"), Mark(3, 3, "release <2>", "handover")]
    svg = draw([wait(1, 2), wait(2, None, partition=7)], 0, 10, marks)

    assert {"partition 0", "partition 7", "command", "release &lt;2&gt;"} <= set(re.findall(">([^<>]+)</text>", svg))
    assert ["command", "handover"] == re.findall('<rect class="([a-z]+)"', svg)
    many = draw([wait(1, 2, partition) for partition in range(40)], 0, 10, [])
    assert MOST == many.count('class="owed"')
