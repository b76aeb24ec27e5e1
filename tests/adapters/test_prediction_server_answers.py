"""One answer for every record, on a real local Spark: whatever the record holds, and whatever stands beside it."""

import json
import shutil
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from pyspark.sql import functions as F  # noqa: N812 - the name everyone knows it by

from apps.common import spark_paths
from apps.common.errors import ModelRefused
from apps.common.messages import MAX_KEY_BYTES, MAX_VALUE_BYTES, UNDECLARED, Writer, decode_answer
from apps.common.model import Model, RequestFields, same
from apps.common.model_files import LOCAL
from apps.prediction_server import golden, session
from apps.prediction_server.answers import answers
from apps.prediction_server.request_fields import NOT_JSON, read_fields
from apps.prediction_server.settings import RescoreSettings
from stack.java import jars
from tests.adapters import small_model
from tests.adapters.small_model import COLUMNS, DECLARED, request

FIELDS = RequestFields(COLUMNS, DECLARED)
WRITER = Writer("flats", "7", 3, process="p1", topic_id="t1", manifest="0a1b", reads="5e:1")
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
FINE = request("50")
NOTHING = "value must be a JSON object of raw fields; got nothing"
NO_KEY = f"key must be a request id of 1-{MAX_KEY_BYTES} bytes of UTF-8; got another"
NO_AREA = "area must be given; got nothing"
NO_FIELD = "value must have at least one of the dataset's fields (area, town, price, ...); got none"

SCHEMA = "key BINARY, value BINARY, partition INT, offset BIGINT, timestamp TIMESTAMP"
OLD_HEADERS = ("in_partition", "in_offset", "model_version", "release")

REJECTED = {
    "nothing": (None, NOTHING),
    "an empty value": (b"", NOT_JSON),
    "cut off": (b'{"area": "50", "to', NOT_JSON),
    "a list": (b'[{"area": "50"}]', NOT_JSON),
    "a number": (b"50", NOT_JSON),
    "null": (b"null", NOT_JSON),
    "two objects": (b'{"area": "50"}{"area": "60"}', NOT_JSON),
    "two objects in a row": (b'{"area": "50"},{"area": "60"}', NOT_JSON),
    "something behind it": (FINE + b" thanks", NOT_JSON),
    "a bracket behind it": (FINE + b"] thanks", NOT_JSON),
    "an object behind a bracket": (FINE + b'] {"area": "1"}', NOT_JSON),
    "a brace behind it": (FINE + b"} thanks", NOT_JSON),
    "what we look for behind it": (FINE + b',"end":1} thanks', NOT_JSON),
    "another value before it": (b'{"area": "1"},"value":' + FINE, NOT_JSON),
    "single quotes": (b"{'area': '50', 'town': 'north'}", NOT_JSON),
    "the same field twice": (b'{"area": "50", "area": "1", "town": "north"}', "must name each field once"),
    "five bytes of a schema registry": (b"\0\0\0\0\x11" + FINE, "got a zero byte first, as Confluent's serializers"),
    "not UTF-8": (b'{"area": "50", "town": "\xff\xfe"}', NOT_JSON),
    "UTF-16": (FINE.decode().encode("utf-16"), NOT_JSON),
    "a million bytes": (b'{"area": "' + b"5" * 999_988 + b'"}', f"at most {MAX_VALUE_BYTES} bytes; got 1000000"),
    "no field at all": (b"{}", f"{NO_FIELD}; {NO_AREA}"),
    "no declared field": (b'{"colour": "red"}', f"{NO_FIELD}; {NO_AREA}"),
    "a renamed field": (b'{"Area ": "50", "town": "north"}', f"area must be called so; got 'Area '; {NO_AREA}"),
    "all fields renamed": (b'{"AREA": "50", "to-wn": "x"}', f"{NO_FIELD}; area must be called so; got 'AREA'; town"),
    "a field beside its own": (b'{"area": "50", "a_r e.A": "9"}', "area must be called so; got 'a_r e.A'"),
    "an empty field": (b'{"area": null, "town": "north"}', NO_AREA),
    "a word for a number": (request("big"), "area must be a number of 1-1000; got big"),
    "a list for a number": (request([50]), "area must be a number of 1-1000; got [50]"),
    "an object for a number": (request({"m2": 50}), 'area must be a number of 1-1000; got {"m2":50}'),
    "NaN": (b'{"area": NaN}', "area must be a number of 1-1000; got "),
    "infinity": (b'{"area": 1e400}', "area must be a number of 1-1000; got "),
    "NaN as a word": (request("NaN"), "area must be a number of 1-1000; got NaN"),
}
ANSWERED = {
    "a JSON number": request(50),
    "more fields than known": request("50", colour="red", deep={"er": [1, {"x": None}]}),
    "a byte order mark": b"\xef\xbb\xbf" + FINE,
    "a declared field that the version does not read": request("50", note="by the sea"),
    "spaces around": b'  {"area": "50",\n"town": "north"}  ',
}
BYTES = st.one_of(
    st.none(),
    st.binary(max_size=60),
    st.text(max_size=30).map(str.encode),
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(max_size=8),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["area", "town", "x"]), inner),
        max_leaves=6,
    ).map(lambda value: json.dumps(value).encode()),
)


@pytest.fixture(scope="module")
def spark(tmp_path_factory):
    """A session with the server's settings."""
    folder = tmp_path_factory.mktemp("spark")
    told = RescoreSettings(
        versions="", out=folder / "out", scratch=folder, spark_jars=jars("spark-kafka"), heap="1g", dataset="flats"
    )
    started = session.start(told, "test")
    yield started
    started.stop()


@pytest.fixture(scope="module")
def model(spark, tmp_path_factory):
    """A version's files."""
    folder = tmp_path_factory.mktemp("model") / "1"
    small_model.save(spark, folder, 2.0)
    return Model("1", folder, spark_paths.url(folder))


@pytest.fixture(scope="module")
def loaded(spark, model):
    """The version's pipeline as the server loads it."""
    return session.load_pipeline(spark, model)


def answer_all(spark, loaded, records):
    """The answers to (key, value) records, by their place."""
    rows = [
        (None if key is None else bytearray(key), None if value is None else bytearray(value), 1, place, NOON)
        for place, (key, value) in enumerate(records)
    ]
    asked = spark.createDataFrame(rows, SCHEMA).coalesce(1)
    answered = answers(asked, loaded, FIELDS, WRITER).collect()
    assert all(row["partition"] == 1 for row in answered)
    decoded = [
        decode_answer(
            bytes(row["key"]), bytes(row["value"]), [(h["key"], bytes(h["value"])) for h in row["headers"]], 0
        )
        for row in answered
    ]
    assert [answer.position for answer in decoded] == [(1, place) for place in range(len(records))]
    return decoded


def test_every_bad_request_is_rejected_for_its_reason_and_its_neighbours_are_not(spark, loaded):
    """
    A request that cannot be judged gets one rejection that says why; those before and after it get predictions.
    """
    asked = [record for name, (value, _) in REJECTED.items() for record in ((b"ok", FINE), (name.encode(), value))]

    found = answer_all(spark, loaded, [*asked, (b"ok", FINE)])

    fine = {answer.prediction for answer in found if answer.request_id == "ok"}
    assert len(fine) == 1
    assert None not in fine
    rejections = {answer.request_id: (answer.prediction, answer.rejection) for answer in found if answer.rejection}
    assert rejections.keys() == REJECTED.keys()
    assert {name: said for name, (_, said) in REJECTED.items() if said not in rejections[name][1]} == {}
    assert {prediction for prediction, _ in rejections.values()} == {None}


def test_what_can_be_understood_is_answered(spark, loaded):
    """
    Numbers as JSON numbers, a byte order mark and unknown fields do no harm; an unknown category has the model's own
    default.
    """
    plain, *others = answer_all(spark, loaded, [(b"plain", FINE), *((b"x", value) for value in ANSWERED.values())])
    unknown, missing = answer_all(spark, loaded, [(b"x", request("50", "atlantis")), (b"x", b'{"area": "50"}')])

    assert {name: other.prediction for name, other in zip(ANSWERED, others, strict=True)} == dict.fromkeys(
        ANSWERED, plain.prediction
    )
    assert abs(unknown.prediction - 100) < 20
    assert abs(missing.prediction - 100) < 20


def test_an_answer_says_which_request_and_who_answered(spark, loaded):
    """
    Its headers name the request's broker timestamp and topic, the model, its files and the process; an answer of a
    server that did not write them is read all the same.
    """
    frame = spark.createDataFrame([(b"k", FINE, 1, 9, NOON)], SCHEMA)
    [row] = answers(frame, loaded, FIELDS, WRITER).collect()
    headers = {header["key"]: bytes(header["value"]).decode() for header in row["headers"]}

    assert headers == {
        "in_partition": "1",
        "in_offset": "9",
        "in_timestamp": str(int(NOON.timestamp() * 1000)),
        "in_topic_id": "t1",
        "model": "flats",
        "model_version": "7",
        "manifest": "0a1b",
        "release": "3",
        "process": "p1",
        "reads": "5e:1",
    }
    older = [(name, text.encode()) for name, text in headers.items() if name in OLD_HEADERS]
    assert decode_answer(b"k", bytes(row["value"]), older, 0).position == (1, 9)


def test_fields_that_nobody_declared_are_counted(spark, loaded):
    """
    They do no harm, and whoever sent them can see that they did no good either.
    """
    values = [FINE, request("50", colour="red", deep={"er": 1}), request("50", note="n"), b"no json", None]
    frame = spark.createDataFrame([(b"k", value, 1, place, NOON) for place, value in enumerate(values)], SCHEMA)

    found = [
        json.loads(row["value"])[UNDECLARED] for row in answers(frame.coalesce(1), loaded, FIELDS, WRITER).collect()
    ]

    assert found == [0, 2, 0, 0, 0]


def test_two_declared_fields_may_look_alike(spark, loaded):
    """
    Each is known by its own name, and a third that looks like both is told to be called as one of them.
    """
    fields = RequestFields(COLUMNS, (*DECLARED, "AREA"))
    values = [request("50"), request("50", AREA="1"), request("50", Area="1")]
    frame = spark.createDataFrame([(b"k", value, 1, place, NOON) for place, value in enumerate(values)], SCHEMA)

    answered = answers(frame.coalesce(1), loaded, fields, WRITER).collect()
    rejections = [json.loads(row["value"])["rejection"] for row in answered]

    assert rejections[:2] == [None, None]
    assert rejections[2] == "AREA must be called so; got 'Area'"


def test_a_field_may_have_any_name(spark):
    """What is no plain word stands in the plan as text, and is read as it was written."""
    names = ["a.b", "c`d", "e'f", 'g"h', "i\\j", "k l", "${m}", "n\no", "größe"]
    value = json.dumps({name: name for name in names}).encode()
    asked = spark.createDataFrame([(bytearray(b"1"), bytearray(value), 1, 0, NOON)], SCHEMA)

    (row,) = read_fields(asked, RequestFields(names, [*names, "p'q"])).collect()

    assert names == [row[name] for name in names]
    assert (0, "") == (row["_k_undeclared"], row["_k_problems"])


@pytest.mark.parametrize("key", [None, b"", b"k" * (MAX_KEY_BYTES + 1), b"\xff\xfe"])
def test_a_request_without_an_id_is_rejected_under_its_place(spark, loaded, key):
    """
    No key, an empty one, a huge one and one that is no text: the answer's key says where the request stands.
    """
    found, bad = answer_all(spark, loaded, [(b"k" * MAX_KEY_BYTES, FINE), (key, request("big"))])

    assert found.rejection is None
    assert bad.request_id == "1-1"
    assert bad.rejection == f"{NO_KEY}; area must be a number of 1-1000; got big"


@settings(max_examples=15, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
@given(values=st.lists(BYTES, min_size=30, max_size=30), keys=st.lists(BYTES, min_size=30, max_size=30))
def test_any_bytes_get_exactly_one_answer(spark, loaded, values, keys):
    """
    Nothing that Kafka can carry throws, vanishes or gets both a prediction and a rejection.
    """
    for answer in answer_all(spark, loaded, list(zip(keys, values, strict=True))):
        assert (answer.prediction is None) != (answer.rejection is None)


def stream(spark):
    """A stream that looks like requests; in the plan it stands for Kafka."""
    return (
        spark.readStream.format("rate")
        .load()
        .selectExpr(
            "CAST(value AS BINARY) AS key",
            "CAST(value AS BINARY) AS value",
            "0 AS partition",
            "value AS offset",
            "timestamp",
        )
    )


def python_nodes(frame, capsys):
    """The nodes of a query's physical plan that would leave the JVM."""
    frame.explain(extended=True)
    _, _, plan = capsys.readouterr().out.partition("== Physical Plan ==")
    assert "Project" in plan
    return [line for line in plan.splitlines() if "Python" in line or "Pandas" in line or "InArrow" in line]


def test_the_streaming_plan_is_native(spark, loaded, capsys):
    """
    Real-time mode runs no Python: the plan from record to answer has none, and the same test sees one that has.
    """
    native = answers(stream(spark), loaded, FIELDS, WRITER)
    foreign = native.withColumn("key", F.udf(lambda key: key, "binary")("key"))

    assert native.isStreaming
    assert python_nodes(native, capsys) == []
    assert python_nodes(foreign, capsys) != []


def test_a_version_without_the_local_format_answers_alike(spark, loaded, model, tmp_path):
    """
    As one does that an earlier Baton trained.
    """
    shutil.copytree(model.folder, tmp_path / "earlier")
    shutil.rmtree(tmp_path / "earlier" / LOCAL)
    earlier = Model("1", tmp_path / "earlier", spark_paths.url(tmp_path / "earlier"))
    asked = [(b"k", request(str(area / 7))) for area in range(100)]

    assert model.local_pipeline
    assert earlier.local_pipeline is None
    assert answer_all(spark, session.load_pipeline(spark, earlier), asked) == answer_all(spark, loaded, asked)


def test_a_model_proves_its_golden_rows(spark, loaded, model):
    """
    A loaded model that predicts or rejects otherwise than it did in training must not serve, by one part in 1e9.
    """
    golden.prove(spark, loaded, model)

    row = model.golden[0]
    near, far = row["prediction"] * (1 + 1e-10), row["prediction"] * (1 + 1e-8)
    body = {"prediction": row["prediction"], "rejection": None}
    assert same({**row, "prediction": near}, body)
    assert not same({**row, "prediction": far}, body)
    assert not same({**row, "prediction": None, "rejection": "no"}, body)
    assert not same(row, {"prediction": None, "rejection": "no"})


def test_a_model_with_other_golden_rows_is_refused(spark, loaded, model, tmp_path):
    """
    The refusal names the row, what it must give and what it gave.
    """
    row = {**model.golden[0], "prediction": 1.0}
    (tmp_path / "baton").mkdir()
    (tmp_path / "baton" / "golden.jsonl").write_text(json.dumps(row) + "\n")
    (tmp_path / "baton" / "contract.json").write_text(json.dumps({"input_columns": COLUMNS}))

    with pytest.raises(ModelRefused, match=r"golden row 0 must give 1\.0 or None; got"):
        golden.prove(spark, loaded, Model("2", tmp_path, spark_paths.url(tmp_path)))
