"""What ./baton watch makes of the records of the three topics."""

import json

import pytest

from apps import datasets
from apps.common.errors import BatonError
from apps.common.messages import CachedAnswer, Writer
from apps.common.names import StackNames
from stack.cli.watch import LineLimit, Sightings, SightKind, shown_fields

NAMES = StackNames("baton", "used_cars")
ASKED = 1_000_000


class KafkaRecord:
    """A record as librdkafka gives it."""

    def __init__(self, topic, value, *, key="r-1", offset=0, at=ASKED, headers=()):
        """``at`` is the broker's clock in milliseconds."""
        self.told = {"topic": topic, "partition": 0, "offset": offset, "key": key.encode(), "timestamp": (1, at)}
        self.told |= {"value": value if isinstance(value, bytes) else json.dumps(value).encode(), "headers": headers}

    def __getattr__(self, name):
        """Each is a method."""
        return lambda: self.told[name]


def request(fields, **more):
    """A request."""
    return KafkaRecord(NAMES.requests, fields, **more)


def answer(prediction=None, rejection=None, *, after=3, key="r-1", offset=0, version="4"):
    """An answer to a request at ``offset``, given ``after`` milliseconds."""
    said = Writer(NAMES.model, version, 7).headers() | {
        "in_partition": "0",
        "in_offset": str(offset),
        "in_timestamp": str(ASKED),
    }
    headers = [(name, text.encode()) for name, text in said.items()]
    body = {"prediction": prediction, "rejection": rejection}
    return KafkaRecord(NAMES.answers, body, key=key, at=ASKED + after, headers=headers)


def seen(*records, sightings=None):
    """What they are seen as."""
    return list((sightings or Sightings(NAMES, ["year"])).of((record, 0.0) for record in records))


def test_an_answer_is_shown_with_its_request_and_its_latency():
    """Whichever of the two is read first."""
    (one,) = seen(answer(12_345.6), request({"year": 2017, "mileage": 3}))

    assert (SightKind.PREDICTION, "r-1", 12_345.6, "4", 3) == (
        one.kind,
        one.request_id,
        one.prediction,
        one.version,
        one.latency_ms,
    )
    assert {"year": "2017"} == one.fields
    assert "12,345.6  v4  3 ms  year=2017" in one.to_text().plain


def test_what_was_answered_twice_is_shown_once():
    """The first answer counts; a request at the same offset of another time is another one."""
    again = request({}, at=ASKED + 9)

    assert ["4", "5"] == [
        one.version for one in seen(answer(1), answer(2, version="5"), again, answer(3, offset=1, version="5"))
    ]


def test_an_outcome_is_shown_beside_what_was_predicted():
    """Of an answer that was not seen it is shown alone; what is no number is passed over."""
    outcome = KafkaRecord(NAMES.outcomes, {"outcome": 11_000})
    unknown = KafkaRecord(NAMES.outcomes, {"outcome": 5}, key="r-2")
    broken = [KafkaRecord(NAMES.outcomes, value) for value in (b"{", {"outcome": "much"}, [1], b"[" * 100_000)]

    first, second = seen(answer(12_000), outcome, unknown, *broken)[1:]

    assert "was 11,000, predicted 12,000" in first.to_text().plain
    assert (None, 5) == (second.prediction, second.outcome)
    assert {"kind": "outcome", "request_id": "r-2", "outcome": 5} == json.loads(second.to_json())


def test_an_answer_out_of_a_gateways_cache_is_shown_and_said_to_be_one():
    """It has no request in the log, and its outcome stands beside it as any other's."""
    one = CachedAnswer("r-1", b"what", NAMES.model, "4", "", 7, 12_000.0)
    headers = [(name, text.encode()) for name, text in one.headers().items()]
    other = [(name, b"other.cars" if name == "model" else text) for name, text in headers]
    records = [KafkaRecord(NAMES.answers, one.value(), headers=some) for some in (headers, other)]

    first, second = seen(*records, KafkaRecord(NAMES.outcomes, {"outcome": 11_000}))

    assert "12,000  v4  cached" in first.to_text().plain
    assert json.loads(first.to_json())["cached"]
    assert "was 11,000, predicted 12,000" in second.to_text().plain
    assert "cached" not in json.loads(seen(answer(1))[0].to_json())


def test_probes_and_foreign_records_are_no_answers_to_anybody():
    """A starting server asks itself; what has not our headers is somebody else's."""
    foreign = [answer(None), answer("much"), KafkaRecord(NAMES.answers, b"hello")]

    assert [] == seen(answer(1, key="baton-probe-7-0"), *foreign)


def test_a_rejection_says_why():
    """As the server did."""
    (one,) = seen(answer(rejection="year must be a number"))

    assert "rejected: year must be a number" in one.to_text().plain


def test_a_second_has_so_many_lines_and_the_next_says_how_many_more():
    """None is lost without a word."""
    limit = LineLimit(2)

    assert [True, True, False, False, True] == [limit.allows(at) for at in (1.0, 1.1, 1.2, 1.9, 2.0)]
    assert ["… 2 more"] == [text.plain for text in limit.said()]
    assert [] == limit.said()
    assert all(LineLimit(0).allows(1.0) for _ in range(100))


def test_fields_are_those_that_are_wanted_or_the_ones_that_say_most():
    """The required ones first; one that nobody declared is refused with those that there are."""
    cars = datasets.get("used_cars")

    assert ["mileage"] == shown_fields(cars, ["mileage"])
    assert 3 == len(shown_fields(cars, []))
    assert all(cars.column(name).required for name in shown_fields(cars, [])[:1])
    with pytest.raises(BatonError, match=r"got colour, price; there are: .*year"):
        shown_fields(cars, ["colour", "price"])
