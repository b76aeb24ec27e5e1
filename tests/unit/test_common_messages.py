"""How a record of the answers topic becomes an answer, and which of several answers counts."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.common.messages import Answer, Expected, Send, decode_answer, first_answers

HEADERS = [("in_partition", b"1"), ("in_offset", b"42"), ("model_version", b"7"), ("release", b"3")]


def record(value=None, key=b"r-1", headers=HEADERS):
    """A record as the server writes it."""
    body = {"request_id": "r-1", "prediction": 12.5, "rejection": None, "model_version": "7", "release": 3}
    return decode_answer(key, json.dumps(value or body).encode(), headers, seen_at=99.0)


def answer(partition, offset, version="1"):
    """An answer at a position."""
    return Answer("r", partition, offset, version, 1, 1.0, None, 0.0)


def test_an_answer_is_read_from_key_headers_and_value():
    """
    The position, version and release come from the headers, the id from the key, the rest from the value.
    """
    assert Answer("r-1", 1, 42, "7", 3, 12.5, None, 99.0) == record()
    assert (1, 42) == record().position


def test_an_answer_names_its_process_its_files_and_the_topic_of_its_request():
    """
    All are headers; an answer without them is one all the same.
    """
    named = record(headers=[*HEADERS, ("process", b"p1"), ("in_topic_id", b"t1"), ("manifest", b"0a1b")])

    assert ("p1", "t1", "0a1b") == (named.process, named.topic_id, named.manifest)
    assert (None, None, None) == (record().process, record().topic_id, record().manifest)


def test_a_rejection_has_a_reason_and_no_prediction():
    """
    A rejection is an answer too.
    """
    rejected = record({"request_id": "r-1", "prediction": None, "rejection": "price: no"})

    assert (None, "price: no") == (rejected.prediction, rejected.rejection)


@pytest.mark.parametrize(
    ("key", "value", "headers"),
    [
        (b"k", b"{}", []),
        (b"k", b"{}", HEADERS[:3]),
        (b"k", b"not json", HEADERS),
        (b"k", None, HEADERS),
        (b"k", b"[1]", HEADERS),
        (b"\xff", b"{}", HEADERS),
        (b"k", b"\xff", HEADERS),
        (b"k", b"{}", [("in_partition", b"one"), *HEADERS[1:]]),
        (b"k", b"{}", [("in_partition", None), *HEADERS[1:]]),
        (b"k", b"{}", [*HEADERS[:2], ("model_version", None), HEADERS[3]]),
    ],
)
def test_a_record_that_no_server_of_ours_wrote_is_no_answer(key, value, headers):
    """
    Foreign records are ignored, whatever they hold, and break nobody.
    """
    assert decode_answer(key, value, headers, seen_at=0.0) is None


@given(
    st.one_of(st.none(), st.binary()), st.one_of(st.none(), st.binary()), st.lists(st.tuples(st.text(), st.binary()))
)
def test_no_bytes_break_the_reader(key, value, headers):
    """
    Any record is an answer or None, never an error.
    """
    decode_answer(key, value, headers, seen_at=0.0)
    decode_answer(key, value, [*HEADERS, *headers], seen_at=0.0)


def test_the_first_answer_of_each_position_counts():
    """
    Repeats, also by another version, are dropped, and the order stays.
    """
    answers = [answer(0, 1), answer(1, 1), answer(0, 1, "2"), answer(0, 2), answer(1, 1, "2")]

    assert [answers[0], answers[1], answers[3]] == list(first_answers(answers))


@pytest.mark.parametrize(
    "line",
    [
        Send("r-1", 1, 42, 0.5, 0.75),
        Send("r-2", None, None, 0.5, None, "too long"),
        Expected("4", 1, 42, 12.5, None),
        Expected("4", 1, 42, 12.5, None, manifest="0a1b"),
        Expected("4", 1, 43, None, "price must be a number; got 'x'"),
    ],
)
def test_a_line_of_the_sender_or_the_rescorer_reads_back_as_it_was_written(line):
    """
    The two files that a checker compares answers with are written and read by the same classes, a line for each.
    """
    text = line.to_json()

    assert "\n" not in text
    assert line == type(line).from_json(text)


def test_an_offset_that_is_used_again_has_a_first_answer_again():
    """By their timestamps two requests at one place are told apart; without one an answer repeats what is known."""
    old, new = (replace(answer(0, 5), in_timestamp=stamp) for stamp in (1, 2))
    unstamped = answer(0, 5)

    assert [old, new] == list(first_answers([old, old, new, old, unstamped]))
    assert [unstamped] == list(first_answers([unstamped, new, unstamped]))
