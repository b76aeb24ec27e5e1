"""The Open Inference Protocol: every way to write a row is the same request, and what none can be is refused."""

import base64
import json
import math
import struct

import pytest

from apps.gateway import tensors
from apps.gateway.asking import AnsweredRow
from apps.gateway.bodies import values
from apps.gateway.open_inference import JSON_LENGTH, Inference, decode, encode
from apps.gateway.remembered import Reply
from apps.gateway.turned_away import TurnedAway

MOST = 9  # rows
FINE, BAD = Reply(5.5, None, "3", 7), Reply(None, "x is bad", "3", 7)
BOTH = {"prediction": False, "rejection": False}


def tensor(name="x", datatype="FP64", shape=(2,), **more):
    """An input."""
    return {"name": name, "datatype": datatype, "shape": list(shape), **more}


def body(*inputs, **more):
    """The JSON of a request, in which NaN stands bare."""
    return json.dumps({"inputs": list(inputs), **more}).encode()


def cells(*inputs, binary=b"", **more):
    """What Kafka is sent for the rows of a request."""
    head = body(*inputs, **more)
    inference = decode(head + binary, str(len(head)) if binary else None, MOST)
    return [json.loads(value) for value in values(inference.rows)]


def raw(datatype, *parts):
    """An input in binary, and its bytes."""
    content = b"".join(parts)
    return {**tensor(datatype=datatype), "parameters": {"binary_data_size": len(content)}}, content


@pytest.mark.parametrize("shape", [(2,), (2, 1)])
@pytest.mark.parametrize("data", [[1, 2], [[1], [2]]])
def test_a_column_may_be_flat_or_nested(shape, data):
    """
    Rows are the first dimension, whichever way the shape and the data are written.
    """
    assert [{"x": 1}, {"x": 2}] == cells(tensor(shape=shape, data=data))


def test_what_is_missing_is_left_out_and_the_rest_goes_as_it_is():
    """
    Null and a bare NaN are missing; a text in a column of numbers is for the server to judge, and so is infinity.
    """
    columns = tensor(data=[None, math.nan]), tensor("y", "INT64", data=["soon", 3]), tensor("z", data=[math.inf, -0.5])

    assert [{"y": "soon", "z": "inf"}, {"y": 3, "z": -0.5}] == cells(*columns)


def test_bytes_are_text_or_base64_where_that_is_said():
    """
    By the parameter content_type, of the input or of the request; without it a text is a text.
    """
    coded = [base64.b64encode("ä".encode()).decode(), None]
    said = {"content_type": "base64"}

    assert [{"x": coded[0]}, {}] == cells(tensor(datatype="BYTES", data=coded))
    assert [{"x": "ä"}, {}] == cells(tensor(datatype="BYTES", data=coded, parameters=said))
    assert [{"x": "ä"}, {}] == cells(tensor(datatype="BYTES", data=coded), parameters=said)


@pytest.mark.parametrize(
    ("datatype", "letter", "sent", "wanted"),
    [
        ("BOOL", "?", [True, False], [True, False]),
        ("UINT8", "B", [0, 255], [0, 255]),
        ("UINT16", "H", [1, 65535], [1, 65535]),
        ("UINT32", "I", [1, 2**32 - 1], [1, 2**32 - 1]),
        ("UINT64", "Q", [1, 2**64 - 1], [1, 2**64 - 1]),
        ("INT8", "b", [-128, 127], [-128, 127]),
        ("INT16", "h", [-5, 5], [-5, 5]),
        ("INT32", "i", [-5, 5], [-5, 5]),
        ("INT64", "q", [-(2**63), 5], [-(2**63), 5]),
        ("FP16", "e", [0.1, 65504.0], [0.1, 65500.0]),
        ("FP32", "f", [0.1, 3.4028234663852886e38], [0.1, 3.4028235e38]),
        ("FP64", "d", [0.1, 1e300], [0.1, 1e300]),
    ],
)
def test_each_datatype_comes_in_binary_as_a_person_writes_it(datatype, letter, sent, wanted):
    """
    The shortest number that only this one is nearest to: 0.1 and not 0.10000000149.
    """
    column, content = raw(datatype, struct.pack(f"<2{letter}", *sent))

    assert wanted == [row["x"] for row in cells(column, binary=content)]


def test_bf16_and_bytes_come_in_binary_too():
    """
    BF16 is the upper half of an FP32; each element of BYTES has its length before it.
    """
    column, content = raw("BF16", struct.pack("<f", 1.5)[2:], struct.pack("<f", math.nan)[2:])
    assert [{"x": 1.5}, {}] == cells(column, binary=content)
    column, content = raw("BYTES", *(struct.pack("<I", len(one)) + one for one in ("ä".encode(), b"")))
    assert [{"x": "ä"}, {"x": ""}] == cells(column, binary=content)


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ([], "inputs must be a list of tensors"),
        ([tensor(data=[1, 2]), tensor(data=[1, 2])], "a name of its own"),
        ([tensor(data=[1])], "the data of 'x' must be 2 elements"),
        ([tensor(data=[1, {}])], "data must be a list of null"),
        ([tensor(data={"a": 1})], "data must be a list of null"),
        ([tensor(data=[[[1]], [[2]]], shape=(2, 1))], "a list of lists of one element"),
        ([tensor(shape=(1, 2), data=[1, 2])], "the shape of 'x' must be [n] or [n, 1]"),
        ([tensor(shape=(-1,), data=[])], "the shape of 'x'"),
        ([tensor(shape=(0,), data=[])], "as many rows each, one or more"),
        ([tensor(data=[1, 2]), tensor("y", shape=(1,), data=[1])], "as many rows each"),
        ([tensor(datatype="FP128", data=[1, 2])], "the datatype of 'x' must be one of BOOL"),
        ([tensor(datatype="BYTES", data=["%", "a"], parameters={"content_type": "base64"})], "must be base64"),
        ([tensor(datatype="BYTES", data=["gA==", None], parameters={"content_type": "base64"})], "text in UTF-8"),
        ([tensor(parameters={"binary_data_size": 8})], "binary_data_size of 'x' must be at most"),
        ([tensor()], "data must be a list of null"),
    ],
)
def test_what_is_no_table_is_refused(inputs, words):
    """
    The whole request, with the place that is wrong.
    """
    with pytest.raises(TurnedAway) as refused:
        decode(body(*inputs), None, MOST)

    assert (400, True) == (refused.value.status, words in str(refused.value))


@pytest.mark.parametrize(
    ("told", "binary"),
    [
        (tensor(shape=(2_000_000,), data=[0] * 2_000_000), b""),
        (tensor(datatype="BOOL", shape=(4_000_000,), parameters={"binary_data_size": 4_000_000}), b"\0" * 4_000_000),
        (tensor(datatype="BF16", shape=(2_000_000, 1), parameters={"binary_data_size": 4_000_000}), b"\0" * 4_000_000),
    ],
)
def test_more_rows_than_ever_wait_are_not_unpacked(monkeypatch, told, binary):
    """
    The shape says how many there are: no cell of them is made.
    """
    monkeypatch.delattr(tensors, "from_json")
    monkeypatch.delattr(tensors, "from_bytes")
    head = body(told)
    with pytest.raises(TurnedAway, match="at most 9 rows; got") as refused:
        decode(head + binary, str(len(head)), MOST)

    assert 413 == refused.value.status


def test_no_more_is_unpacked_than_the_shape_says():
    """
    Flat, nested, and in binary: an element that is beyond the shape is not looked at.
    """
    odd = {"a": 1}
    for data in ([1, 2, odd], [[1, 2, 3, odd]]):
        with pytest.raises(TurnedAway, match="the data of 'x' must be 2 elements"):
            decode(body(tensor(data=data)), None, MOST)
    content = b"\0\0\0\0" * 3 + b"\1\0\0\0\xff"
    head = body(tensor(datatype="BYTES", parameters={"binary_data_size": len(content)}))
    with pytest.raises(TurnedAway, match="the binary data of 'x' must be 2 elements"):
        decode(head + content, str(len(head)), MOST)


def test_more_columns_than_any_dataset_has_are_refused():
    """
    Cells are bounded as rows are.
    """
    with pytest.raises(TurnedAway, match="a row must have at most 256 columns") as refused:
        decode(body(*(tensor(f"x{number}", data=[1, 2]) for number in range(257))), None, MOST)

    assert 413 == refused.value.status


@pytest.mark.parametrize("length", ["x", "-1", "9" * 5000, "²", "1000"])
def test_a_length_of_the_json_that_cannot_be_is_refused(length):
    """
    Not a number, or one beyond the body.
    """
    with pytest.raises(TurnedAway, match=JSON_LENGTH):
        decode(body(tensor(data=[1, 2])), length, MOST)


def test_bytes_that_are_nobodys_or_cut_off_are_refused():
    """
    All that stands behind the JSON is some input's, and each element is whole.
    """
    for content, more in ((b"\x05\0\0\0a", b""), (b"\x01\0\0\0a", b"!"), (b"\x01\0", b"")):
        size = {"binary_data_size": len(content)}
        head = body(tensor(datatype="BYTES", shape=(1,), parameters=size))
        with pytest.raises(TurnedAway):
            decode(head + content + more, str(len(head)), MOST)


def rows(*replies):
    """Answers."""
    return [AnsweredRow(f"a/{number}", reply) for number, reply in enumerate(replies)]


def test_an_answer_names_what_answered_and_why_a_row_was_rejected():
    """
    The id comes back; a rejected row is null beside its reason.
    """
    content, _ = encode(Inference("a", [], BOTH), "a", "m", rows(FINE, BAD))
    told = json.loads(content)

    assert ("m", "3", "a", 7) == (
        told["model_name"],
        told["model_version"],
        told["id"],
        told["parameters"]["release"],
    )
    assert [[5.5, None], ["", "x is bad"]] == [one["data"] for one in told["outputs"]]
    assert ["FP64", "BYTES"] == [one["datatype"] for one in told["outputs"]]


def test_when_every_row_was_rejected_there_is_no_tensor():
    """
    The status is 422, with the reason of each row for people and for programs.
    """
    with pytest.raises(TurnedAway, match="row 0: x is bad; row 1: x is bad") as refused:
        encode(Inference("a", [], BOTH), "a", "m", rows(BAD, BAD))

    assert 422 == refused.value.status
    assert {"row": 1, "request_id": "a/1", "reason": "x is bad"} == refused.value.told["rejections"][1]


def test_rows_that_two_versions_answered_name_both():
    """
    During a hand-over; the newer one is the answer's.
    """
    content, _ = encode(Inference("a", [], BOTH), "a", "m", rows(FINE, Reply(1.0, None, "4", 8)))
    told = json.loads(content)

    assert ("4", "3,4") == (told["model_version"], told["parameters"]["versions"])


def test_outputs_come_in_binary_when_asked_for():
    """
    All by a parameter of the request, as tritonclient does by default, or one by its own; only those that are wanted.
    """
    everything = decode(body(tensor(data=[1, 2]), parameters={"binary_data_output": True}), None, MOST)
    content, headers = encode(everything, "a", "m", rows(FINE, BAD))
    length = int(headers[JSON_LENGTH])
    sizes = [one["parameters"]["binary_data_size"] for one in json.loads(content[:length])["outputs"]]
    numbers = struct.unpack("<2d", content[length : length + 16])

    assert [16, 4 + 4 + len("x is bad")] == sizes
    assert (5.5, True) == (numbers[0], math.isnan(numbers[1]))
    assert content[length + 16 :] == b"\0\0\0\0\x08\0\0\0x is bad"
    one = decode(
        body(tensor(data=[1, 2]), outputs=[{"name": "prediction", "parameters": {"binary_data": True}}]), None, MOST
    )
    assert {"prediction": True} == one.outputs
    with pytest.raises(TurnedAway, match="outputs must be tensors called prediction or rejection"):
        decode(body(tensor(data=[1, 2]), outputs=[{"name": "price"}]), None, MOST)
