"""The second opinion on a real local Spark: it says what the server says, and has none where a form is rejected."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from apps.common import spark_paths
from apps.common.messages import MAX_TEXT, MAX_VALUE_BYTES, Expected
from apps.common.model import Model
from apps.prediction_server import second_opinion, session
from apps.prediction_server.rescore import expected
from apps.prediction_server.second_opinion import Rejections, cells, draw, second_opinions
from apps.prediction_server.settings import RescoreSettings
from stack.java import jars
from tests.adapters import small_model
from tests.adapters.small_model import request

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
SCHEMA = "key BINARY, value BINARY, partition INT, offset BIGINT, timestamp TIMESTAMP"
PLAIN = {
    "texts": request("50"),
    "another town": request("51", "south"),
    "an unknown town": request("52", "atlantis"),
    "capitals": request("62", "NORTH"),
    "no town": b'{"area": "53"}',
    "a town that is null": b'{"area": "54", "town": null}',
    "blanks around a text": request("55", " north "),
    "blanks alone": request("56", "  "),
    "letters of all kinds": request("57", "B\u00e4rn \U0001f3e0 \\u0041 \"'`"),
    "a number as it is written": b'{"area": 58.250, "town": "south"}',
    "a number with an exponent": b'{"area": 5.9E1}',
    "a number that is shown in its rejection": b'{"area": 5000.5, "town": "north"}',
    "a whole one": b'{"area": 123456789012345678901234567890}',
    "a small one": b'{"area": 0.00000062e8}',
    "a word for a number": request("big"),
    "a word for another": request("bigger"),
    "true": b'{"area": true, "town": false}',
    "nothing for a number": b'{"town": "north"}',
    "a field that is declared and not read": request("60", note="by the sea"),
    "fields in another order": b'{"town": "south", "area": "61"}',
}
OF_FORM = {
    "nothing": None,
    "no JSON": b"{broken",
    "no object": b"[1]",
    "no UTF-8": b'{"area": "\xff"}',
    "a field twice": b'{"area": "50", "area": "51"}',
    "a byte order mark": b"\xef\xbb\xbf" + request("50"),
    "NaN": b'{"area": NaN}',
    "a list in a field": request([50]),
    "half a pair": b'{"area": "50", "town": "\\ud83c"}',
    "a long text": request("50", "x" * (MAX_TEXT + 1)),
    "a long value": request("50", note=["x" * MAX_VALUE_BYTES]),
    "deep": b"[" * 100_000,
}


@pytest.fixture(scope="module")
def spark(tmp_path_factory):
    """A session with the server's settings."""
    folder = tmp_path_factory.mktemp("spark")
    told = RescoreSettings(versions="", out=folder / "out", scratch=folder, spark_jars=jars("spark-kafka"), heap="1g")
    started = session.start(told, "test")
    yield started
    started.stop()


@pytest.fixture(scope="module")
def model(spark, tmp_path_factory):
    """A version's files."""
    folder = tmp_path_factory.mktemp("model") / "1"
    small_model.save(spark, folder, 2.0)
    return Model("1", folder, spark_paths.url(folder), "0a1b" * 16)


def records(spark, values, keys=None):
    """Requests as they stand in the topic, partition 1."""
    named = keys or [f"r-{place}".encode() for place in range(len(values))]
    rows = [(key, value, 1, place, NOON) for place, (key, value) in enumerate(zip(named, values, strict=True))]
    return spark.createDataFrame(rows, SCHEMA).coalesce(1)


def test_it_says_to_every_plain_request_what_the_server_says(spark, model):
    """Two readings of a request and two of the model that share no code come to the same, word by word."""
    asked = records(spark, list(PLAIN.values()))
    by_server, own = (
        sorted(said, key=lambda one: one.in_offset)
        for said in (
            expected(asked, session.load_pipeline(spark, model), model),
            second_opinions(spark, draw(asked, Rejections()), "1", model.folder, model.manifest),
        )
    )

    assert [replace(line, second_opinion=True) for line in by_server] == own
    assert {"0a1b" * 4} == {line.manifest for line in own}
    assert 6 == sum(line.rejection is not None for line in own)
    assert 14 == sum(line.prediction is not None for line in own)


def test_of_requests_that_say_the_same_each_is_expected_its_own_answer(spark, model):
    """A replay's say the same a hundred times; one whose key is no id is rejected all the same."""
    asked = records(spark, [request("50"), request("50"), request("51"), request("50")], [b"a", b"x" * 300, b"c", b"d"])
    said = {one.in_offset: one for one in expected(asked, session.load_pipeline(spark, model), model)}

    assert [0, 1, 2, 3] == sorted(said)
    assert said[0].prediction == said[3].prediction != said[2].prediction
    assert "key must be a request id" in said[1].rejection


def test_it_has_none_on_a_rejection_that_shows_a_number_which_spark_writes_otherwise(spark, model):
    """It is the same number, and 5000.50 and 5000.5 are two texts; a prediction does not depend on that."""
    asked = records(spark, [b'{"area": 5000.50}', b'{"area": 50.50}', b'{"area": "5000.50"}'])
    own = second_opinions(spark, draw(asked, Rejections()), "1", model.folder, model.manifest)

    assert [1, 2] == sorted(line.in_offset for line in own)


@pytest.mark.parametrize("value", OF_FORM.values(), ids=OF_FORM)
def test_it_has_none_where_the_form_may_be_rejected(value):
    """What no sender of ours writes is judged by the server's own tests."""
    assert cells(value) is None


def test_it_has_none_on_a_request_that_its_id_or_its_fields_reject(spark, model):
    """A key that is no id, a field of another dataset, no field at all."""
    asked = records(spark, [request("50"), request("51", colour="red"), b"{}"], [b"\xff", b"r", b"s"])

    assert [] == list(second_opinions(spark, draw(asked, Rejections()), "1", model.folder, model.manifest))


def test_a_sample_is_of_different_requests_and_every_kind_of_rejection(spark, model, monkeypatch):
    """A value that comes again counts once, and all its places get an opinion; a rare rejection is in every sample."""
    monkeypatch.setattr(second_opinion, "SAMPLE", 4)
    values = [request(str(number % 40 + 1)) for number in range(400)] + [request("big"), request("bigger"), b"{}"]
    asked = records(spark, values)
    rejections = Rejections()
    for place in (400, 401):
        rejections.note(Expected("1", 1, place, None, f"area must be a number; got {values[place]}"))
    rejections.note(Expected("1", 1, 0, 2.0, None))

    drawn = draw(asked, rejections)
    places = {line.in_offset for line in second_opinions(spark, drawn, "1", model.folder, model.manifest)}

    assert 4 + 2 == len(drawn)
    assert {400, 401} < places
    assert 4 * 10 == len(places - {400, 401, 402})


def test_of_each_kind_of_rejection_a_few_are_drawn():
    """The value in a sentence makes no kind of its own, another rule does."""
    rejections = Rejections()
    for number in range(20):
        rejections.note(Expected("1", 0, number, None, f"area must be a number; got '{number}'; town must be given"))
    rejections.note(Expected("1", 1, 7, None, "area must be a number; got 'x'"))

    assert [f"0-{number}" for number in range(second_opinion.OF_A_KIND)] + ["1-7"] == rejections.places
