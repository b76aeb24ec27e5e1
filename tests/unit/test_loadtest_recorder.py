"""The reading without a broker: what is kept of the records that arrive."""

import io
import json

import pytest
from confluent_kafka import KafkaError

from apps.common.errors import Unavailable
from apps.common.kafka_access import KafkaAccess
from apps.common.messages import Answer
from loadtest.recorder import Recorder


class ArrivedMessage:
    """What the client yields."""

    def __init__(self, **said):
        """An answer, but for what is ``said``."""
        headers = {"in_partition": b"1", "in_offset": b"7", "model_version": b"4", "release": b"2"}
        answer = {"key": b"r1", "value": b'{"prediction": 1.5, "rejection": null}', "headers": list(headers.items())}
        self.said = {"topic": "baton.predictions", "partition": 1, "error": None, **answer, **said}

    def __getattr__(self, name):
        """Each is a method."""
        return lambda: self.said[name]


@pytest.fixture
def recorder():
    return Recorder(KafkaAccess("nowhere"), "baton.predictions", "reader", io.StringIO())


def kept(recorder) -> list[dict]:
    return [json.loads(line) for line in recorder.out.getvalue().splitlines()]


def test_an_answer_is_kept_with_the_moment_it_was_seen(recorder):
    """The journal holds what the answer says, whom it answers, where it stands, and the clock."""
    recorder.keep([(ArrivedMessage(partition=3), 5.25), (ArrivedMessage(key=b"r2"), 6.5)])

    first, second = (Answer(**line) for line in kept(recorder))
    assert first == Answer("r1", 1, 7, "4", 2, 1.5, None, 5.25, partition=3)
    assert ("r2", 6.5) == (second.request_id, second.seen_at)


@pytest.mark.parametrize(
    "foreign",
    [
        ArrivedMessage(headers=None),
        ArrivedMessage(value=None),
        ArrivedMessage(value=b"[1]"),
        ArrivedMessage(key=b"\xff"),
        ArrivedMessage(headers=[(name, None) for name in ("in_partition", "in_offset", "model_version", "release")]),
    ],
    ids=["no headers", "no value", "no object", "key is no text", "null headers"],
)
def test_a_foreign_record_is_counted_and_passed(recorder, foreign):
    """Whatever else stands in the topic, the reader goes on behind it."""
    recorder.keep([(foreign, 1.0), (ArrivedMessage(), 1.0)])

    assert [line.get("ignored", line.get("request_id")) for line in kept(recorder)] == [1, "r1"]


def test_a_broker_that_is_away_for_a_while_is_said_and_waited_for(recorder, capsys):
    """The client connects again by itself; what it says meanwhile is no record."""
    recorder.keep([(ArrivedMessage(error=KafkaError(KafkaError._TRANSPORT)), 1.0), (ArrivedMessage(), 2.0)])  # noqa: SLF001

    assert ["r1"] == [line["request_id"] for line in kept(recorder)]
    assert "the broker is away" in capsys.readouterr().err


@pytest.mark.parametrize(
    "error",
    [
        KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED),
        KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART),
        KafkaError(KafkaError._TRANSPORT, "broken for good", True),  # noqa: SLF001 - so they are called
    ],
    ids=str,
)
def test_an_error_that_no_waiting_mends_ends_the_reading(recorder, error):
    """What was not read for it would look like requests without answers."""
    with pytest.raises(Unavailable, match=r"the topic baton\.predictions must be readable; got "):
        recorder.keep([(ArrivedMessage(error=error), 1.0)])


def test_the_end_of_a_partition_is_no_error(recorder, capsys):
    """A reader that asks for it is told each time that it has read all."""
    recorder.keep([(ArrivedMessage(error=KafkaError(KafkaError._PARTITION_EOF)), 1.0)])  # noqa: SLF001

    assert ([], "") == (kept(recorder), capsys.readouterr().err)


def test_answers_that_are_gone_end_the_reading(recorder):
    """A hole in what was seen would look like requests without answers."""
    with pytest.raises(Unavailable, match=r"the answers in baton\.predictions-1 must be there to be read"):
        recorder.keep([(ArrivedMessage(error=KafkaError(KafkaError._AUTO_OFFSET_RESET)), 1.0)])  # noqa: SLF001
