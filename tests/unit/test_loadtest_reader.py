"""The reading process without a broker: what it keeps of the records that arrive, and how it fails without one."""

import io
import json
from dataclasses import dataclass, field

import pytest

from apps.common.errors import Unavailable
from apps.common.messages import Answer
from loadtest import kafka_wire
from loadtest.reader import AnswerReader, Recorder


@dataclass
class ArrivedRecord:
    """What kafka-python's decoder yields."""

    offset: int
    key: bytes | None = b"r1"
    value: bytes | None = b'{"prediction": 1.5, "rejection": null}'
    headers: list = field(
        default_factory=lambda: [
            ("in_partition", b"1"),
            ("in_offset", b"7"),
            ("model_version", b"4"),
            ("release", b"2"),
        ]
    )


@pytest.fixture
def recorder():
    made = Recorder("127.0.0.1:1", "baton.predictions", io.StringIO())
    made.positions = {0: 10, 1: 20}
    return made


def kept(recorder) -> list[dict]:
    return [json.loads(line) for line in recorder.out.getvalue().splitlines()]


def test_an_answer_is_kept_with_the_moment_it_was_seen(recorder):
    """The journal holds what the answer says, whom it answers, and the clock; the position moves behind it."""
    recorder.keep([(1, ArrivedRecord(20))], seen_at=5.25)

    assert [Answer(**line) for line in kept(recorder)] == [Answer("r1", 1, 7, "4", 2, 1.5, None, 5.25)]
    assert recorder.positions == {0: 10, 1: 21}


def test_a_record_that_comes_again_is_not_kept_again(recorder):
    """A compressed batch begins before the offset asked for, and a reconnect may fetch twice."""
    recorder.keep(
        [(0, ArrivedRecord(8)), (0, ArrivedRecord(9)), (0, ArrivedRecord(10)), (0, ArrivedRecord(11))], seen_at=1.0
    )
    recorder.keep([(0, ArrivedRecord(11)), (0, ArrivedRecord(12))], seen_at=2.0)

    assert [line["seen_at"] for line in kept(recorder)] == [1.0, 1.0, 2.0]
    assert recorder.positions[0] == 13


@pytest.mark.parametrize(
    "foreign",
    [
        ArrivedRecord(10, headers=[]),
        ArrivedRecord(10, value=None),
        ArrivedRecord(10, value=b"[1]"),
        ArrivedRecord(10, key=b"\xff"),
        ArrivedRecord(
            10, headers=[("in_partition", None), ("in_offset", None), ("model_version", None), ("release", None)]
        ),
    ],
    ids=["no headers", "no value", "no object", "key is no text", "null headers"],
)
def test_a_foreign_record_is_counted_and_passed(recorder, foreign):
    """Whatever else stands in the topic, the reader goes on behind it."""
    recorder.keep([(0, foreign), (0, ArrivedRecord(11))], seen_at=1.0)

    assert [line.get("ignored", line.get("request_id")) for line in kept(recorder)] == [1, "r1"]
    assert recorder.positions[0] == 12


def test_without_a_broker_the_start_fails_with_one_clear_error(tmp_path):
    """Nothing is measured against a broker that is not there, and no process stays behind."""
    reader = AnswerReader("127.0.0.1:1", "baton.predictions", tmp_path / "answers.jsonl")

    with pytest.raises(Unavailable, match=r"Kafka must answer at 127\.0\.0\.1:1 .* is the stack up\?"):
        reader.start()
    assert reader.answers() == []


def test_several_brokers_may_be_named():
    """The address is Kafka's usual list, IPv6 too."""
    assert kafka_wire.addresses("a:1, [::1]:2") == [("a", 1), ("::1", 2)]
