"""The doors in-process: every status that they promise, and no body that makes one fail."""

import asyncio
import json
import random
import struct
from functools import partial

import pytest
import structlog
from fastapi.testclient import TestClient
from starlette.requests import Request

from apps.common.messages import MAX_VALUE_BYTES
from apps.gateway import doors as module
from apps.gateway.app import application
from apps.gateway.asking import SeenAnswer
from apps.gateway.bodies import BodyRoom, read
from apps.gateway.counts import figures
from apps.gateway.open_inference import JSON_LENGTH
from apps.gateway.turned_away import TurnedAway
from stack.environment import ROOT
from tests.unit.gateway_by_hand import INFER, NAMES, NOW_MS, LogByHand, answer, settings, told_of

MODEL = INFER.removesuffix("/infer")
ROW = {"name": "rm", "datatype": "FP64", "shape": [1], "data": [6.5]}
BODY_BYTES = 300_000


@pytest.fixture
def told(tmp_path):
    """What this gateway is told."""
    return settings(tmp_path, timeout_s=0.3, max_body_bytes=BODY_BYTES, in_flight=50)


@pytest.fixture
def log(told):
    """A log that answers at once."""
    return LogByHand(told)


@pytest.fixture
def failures():
    """What the application logs as a fault."""
    return structlog.testing.CapturingLogger()


@pytest.fixture
def doors(log, told):
    """The doors before it."""
    return log.doors(told)


@pytest.fixture
def client(doors, failures):
    """A client of all doors."""
    with TestClient(application(doors, failures)) as client:
        yield client


def infer(client, path=INFER, **more):
    """One row asked."""
    return client.post(path, json={"inputs": [ROW], **more})


def test_an_infer_is_answered_and_sent_as_its_row(client, log):
    """
    What stands in Kafka is the object of raw fields, its key the id.
    """
    told = infer(client, id="car-1")

    assert (200, "car-1", [5.5]) == (told.status_code, told.json()["id"], told.json()["outputs"][0]["data"])
    assert [("car-1", b'{"rm":6.5}')] == log.sent
    assert 200 == infer(client, f"{MODEL}/versions/3/infer").status_code


def test_the_key_of_a_header_is_the_id_where_the_protocol_has_none(client, log):
    """
    The same again asks nothing twice, another body is a conflict; without a key each request is its own.
    """
    bodies = ({"instances": [{"rm": 6.5}]}, {"instances": [{"rm": 6.5}]}, {"instances": [{"rm": 7}]})
    codes = [
        client.post("/invocations", json=body, headers={"Idempotency-Key": "ä".encode()}).status_code for body in bodies
    ]

    assert [200, 200, 409] == codes
    assert 1 == len(log.sent)
    assert 2 == len({client.post("/invocations", json=bodies[0]).headers["X-Request-Id"] for _ in range(2)})


def test_a_name_or_version_that_does_not_serve_is_refused_with_the_one_that_does(client, log):
    """
    Before anything is asked.
    """
    for path in ("/v2/models/nobody/infer", "/v2/models/nobody"):
        refused = client.request("POST" if "infer" in path else "GET", path, json={"inputs": [ROW]})
        assert (404, [NAMES.model]) == (refused.status_code, refused.json()["models"])
    for path in (f"{MODEL}/versions/9/infer", f"{MODEL}/versions/9/ready"):
        refused = client.request("POST" if "infer" in path else "GET", path, json={"inputs": [ROW]})
        assert (404, ["3"]) == (refused.status_code, refused.json()["versions"])
    assert [] == log.sent


def test_a_version_that_was_taken_over_meanwhile_is_a_conflict(client, log):
    """
    The next one has answered: the client learns which.
    """
    log.version = "4"
    refused = infer(client, f"{MODEL}/versions/3/infer")

    assert (409, True) == (refused.status_code, "it was answered by 4" in refused.json()["error"])


def test_a_known_answer_is_told_by_the_version_that_gave_it_though_another_serves_now(client, log):
    """
    A retry after a hand-over names what it named before; a new request by that version is refused.
    """
    path = f"{MODEL}/versions/3/infer"
    several = {"inputs": [{**ROW, "shape": [2], "data": [1, 2]}], "id": "b"}
    first = infer(client, path, id="a"), client.post(path, json=several)
    log.asking.take([SeenAnswer(answer("later", -2, version="4", release=8), NOW_MS + 60_000)], [])

    assert [one.json() for one in first] == [infer(client, path, id="a").json(), client.post(path, json=several).json()]
    assert (404, ["4"]) == (infer(client, path, id="c").status_code, infer(client, path).json()["versions"])
    assert 409 == infer(client, f"{MODEL}/versions/4/infer", id="a").status_code


def test_after_a_roll_out_that_failed_the_version_that_lives_is_taken(client, log):
    """
    While nobody asks nobody sees which of two that answered lately is left: each is taken, and the answer decides.
    """
    log.asking.take([SeenAnswer(answer("tried", -2, version="4", release=8), NOW_MS)], [])

    assert ["4", "3"] == client.get(MODEL).json()["versions"]
    assert 200 == client.get(f"{MODEL}/versions/3/ready").status_code
    assert 200 == infer(client, f"{MODEL}/versions/3/infer").status_code
    assert 409 == infer(client, f"{MODEL}/versions/4/infer").status_code
    assert ["4", "3"] == infer(client, f"{MODEL}/versions/9/infer").json()["versions"]


def test_what_serves_is_told_beforehand(client):
    """
    Columns with their datatypes, without the target; versions; that it is ready.
    """
    told = client.get(MODEL).json()

    assert ["3"] == told["versions"]
    assert {"name": "rm", "datatype": "FP64", "shape": [-1]} in told["inputs"]
    assert "medv" not in {one["name"] for one in told["inputs"]}
    assert ["binary_tensor_data"] == client.get("/v2").json()["extensions"]
    for path in ("/v2/health/live", "/v2/health/ready", f"{MODEL}/ready", f"{MODEL}/versions/3/ready", "/ping"):
        assert 200 == client.get(path).status_code
    assert client.get("/version").text[0].isdigit()


def test_nothing_says_ready_while_an_infer_would_not_be_answered(client, log):
    """
    Ready doors and infer agree, and say what is waited for; alive it is all the same.
    """
    log.asking.heard_at -= 60

    for path in ("/v2/health/ready", f"{MODEL}/ready", "/ping", "/health"):
        told = client.get(path)
        assert (503, "1") == (told.status_code, told.headers["Retry-After"])
        assert "Kafka must answer" in told.json()["error"]
    assert 503 == infer(client).status_code
    assert [200, 200] == [client.get(path).status_code for path in ("/v2/health/live", "/v1/following")]
    log.asking.unread.add(("t", 0))
    assert 503 == client.get("/v1/following").status_code


def test_an_answer_is_asked_for_by_its_id(client, log):
    """
    404 while it is unknown, 202 while it waits, 200 with what it is; an id may have a slash.
    """
    assert 404 == client.get("/v1/answers/a%2F0").status_code
    log.asking.take([told_of("a/0", b"x", 70)], [])
    assert 202 == client.get("/v1/answers/a/0").status_code
    log.answers("a/0", b"x", 70)
    told = client.get("/v1/answers/a/0").json()

    assert {"id": "a/0", "prediction": 5.5, "rejection": None, "model_version": "3", "release": 7} == told


def test_late_many_and_rejected_rows_have_their_codes(client, log):
    """
    504 with the ids, 413 for rows that never fit, 422 with reasons.
    """
    records = {"instances": [{"rm": 1}] * 51}
    assert 413 == client.post("/invocations", json=records).status_code
    rejected = client.post("/invocations", json={"instances": [{"rm": "bad"}]})
    assert (422, "row 0: bad is no number") == (rejected.status_code, rejected.json()["error"])
    log.answering = False
    late = infer(client, id="late")
    assert (504, ["late"]) == (late.status_code, late.json()["ids"])


def test_a_body_beyond_its_bound_is_refused(client):
    """
    Whether its length is said or it comes in parts; a row has a bound of its own; packed ones are read by nobody.
    """
    said = client.post(INFER, content=b"x" * (BODY_BYTES + 1))
    assert (413, "close") == (said.status_code, said.headers["connection"])
    long = {"instances": [{"rm": "x" * MAX_VALUE_BYTES}]}
    assert "a row must have at most" in client.post("/invocations", json=long).json()["error"]
    packed = client.post(INFER, content=b"x", headers={"Content-Encoding": "gzip"})
    assert 415 == packed.status_code


def test_a_body_is_read_no_further_than_its_bound_and_no_longer_than_its_time():
    """
    One without end ends at the bound, one that stops coming at the time, one that breaks off at once.
    """
    asked, room = 0, BodyRoom(10_000)

    async def endless():
        nonlocal asked
        asked += 1
        return {"type": "http.request", "body": b"x" * 100, "more_body": True}

    async def silent():
        await asyncio.sleep(60)

    async def broken():
        return {"type": "http.disconnect"}

    for receive, code in ((endless, 413), (silent, 408), (broken, 400)):
        with pytest.raises(TurnedAway) as refused:
            asyncio.run(read(Request({"type": "http", "headers": []}, receive), 1000, 0.1, room))
        assert code == refused.value.status
        assert 0 == room.taken
    assert 11 == asked


def test_bodies_that_come_at_once_have_a_bound_together():
    """
    Beyond it one is turned away, for a while; whatever became of the others makes room again.
    """
    room = BodyRoom(1000)

    async def read_in_parts(bodies):
        async def part(sizes):
            await asyncio.sleep(0)
            return {"type": "http.request", "body": b"x" * sizes.pop(), "more_body": bool(sizes)}

        requests = [Request({"type": "http", "headers": []}, partial(part, sizes)) for sizes in bodies]
        return await asyncio.gather(*(read(one, 1000, 1, room) for one in requests), return_exceptions=True)

    first, second, late = asyncio.run(read_in_parts([[1, 300, 300], [300, 300], [300, 1, 1]]))
    assert [601, 429] == [len(first), second.status]
    assert ("1", "close") == (second.headers["Retry-After"], second.headers["Connection"])
    assert 302 == len(late)
    assert 0 == room.taken
    assert [600] == [len(one) for one in asyncio.run(read_in_parts([[300, 300]]))]


def test_outcomes_are_taken_when_kafka_has_them(client, log):
    """
    202 with how many; all problems together otherwise.
    """
    taken = client.post("/v1/outcomes", json=[{"request_id": "a", "outcome": 1}])
    refused = client.post("/v1/outcomes", json=[{"request_id": 1}, {"outcome": 2}])

    assert (202, {"outcomes": 1}) == (taken.status_code, taken.json())
    assert (422, 3) == (refused.status_code, len(refused.json()["problems"]))
    assert ["a"] == [one.request_id for one in log.outcomes_sent]


def test_a_path_that_is_none_and_a_wrong_method_say_where_the_list_is(client):
    """
    In the same form as every other error.
    """
    for method, path, code in (("GET", "/nowhere", 404), ("GET", INFER, 405), ("DELETE", "/ping", 405)):
        told = client.request(method, path)
        assert (code, True) == (told.status_code, "see /docs" in told.json()["error"])


def test_the_page_shows_every_door_with_examples_that_are_answered(client, doors):
    """
    Each example of /openapi.json is a body that its door takes; the page fetches nothing from elsewhere.
    """
    described = client.get("/openapi.json").json()["paths"]
    for path, methods in described.items():
        content = methods.get("post", {}).get("requestBody", {}).get("content", {})
        for kind, examples in content.items():
            for one in examples["examples"].values():
                body = one["value"] if isinstance(one["value"], str) else json.dumps(one["value"])
                real = path.replace("{model}", NAMES.model).replace("{version}", "3")
                taken = client.post(real, content=body, headers={"Content-Type": kind})
                assert taken.status_code in (200, 202), (path, kind, taken.text)
    page = client.get("/docs").text
    assert all(path in page for path in described)
    assert "//" not in page.replace("<!doctype html>", "")


def test_the_version_is_the_projects():
    """
    What GET /v2 says is what pyproject.toml says.
    """
    assert f'\nversion = "{module.VERSION}"' in (ROOT / "pyproject.toml").read_text()


def test_requests_are_counted_by_door_and_code_and_timed(client, doors, log):
    """
    What is told at /metrics: the sum of each histogram's last bucket is the count.
    """
    infer(client)
    client.get("/nowhere")
    told = {(one.family, *one.labels.values()): one for one in figures(doors.counts, log.asking)}
    door = "POST /v2/models/{model}/infer"

    assert 1 == told["baton_gateway_requests_total", door, "200"].value
    assert 1 == told["baton_gateway_requests_total", "none", "404"].value
    assert ("+Inf", 1) == told["baton_gateway_seconds", door].buckets[-1]
    assert [1, 0] == [told[f"baton_gateway_{name}",].value for name in ("ready", "rows_in_flight")]


SCALARS = (
    None,
    True,
    0,
    -1,
    1e308,
    float("nan"),
    float("inf"),
    10**300,
    "",
    "x",
    "bad",
    "\ud800",
    "\0",
    "ä" * 300,
    "NaN",
)
NAMES_OF_FIELDS = (
    *("id", "inputs", "outputs", "parameters", "name", "shape", "datatype", "data", "binary_data_size", "content_type"),
    *("dataframe_split", "dataframe_records", "instances", "columns", "index", "request_id", "outcome", "rm", "\ud800"),
)


def odd(draw, depth=4):
    """Anything that JSON can be, made of the words that doors look for."""
    kind = draw.random()
    if depth and kind < 0.4:
        return {draw.choice(NAMES_OF_FIELDS): odd(draw, depth - 1) for _ in range(draw.randrange(5))}
    if depth and kind < 0.7:
        return [odd(draw, depth - 1) for _ in range(draw.randrange(4))]
    return draw.choice((*SCALARS, *NAMES_OF_FIELDS, "FP32", "BYTES", "BOOL", "base64", [1], [1, 1], [2]))


def odd_tensors(draw):
    """A request that is nearly one."""
    tensors = [
        {
            "name": draw.choice(("rm", "rm", "x", 1, None)),
            "shape": draw.choice(([1], [1, 1], [2], [], [0], [-1], [10**18], ["1"], None, 1, [True])),
            "datatype": draw.choice(("FP64", "BYTES", "BOOL", "BF16", "FP32", "fp64", None, [])),
            "data": draw.choice(([1.5], [[1]], ["bad"], [None], [odd(draw, 2)], odd(draw, 2))),
            "parameters": draw.choice(
                ({}, None, {"binary_data_size": draw.choice((0, 1, 4, 8, -1, 10**30, "4", True))})
            ),
        }
        for _ in range(draw.randrange(1, 3))
    ]
    return {
        "id": draw.choice((None, "a", odd(draw, 1))),
        "inputs": tensors,
        "outputs": draw.choice((None, [], odd(draw))),
    }


def odd_body(draw):
    """Bytes: nearly right, mangled, or noise."""
    kind = draw.random()
    if kind < 0.1:
        return draw.randbytes(draw.randrange(200))
    made = json.dumps(odd_tensors(draw) if kind < 0.5 else odd(draw)).encode()
    if kind > 0.8:
        place = draw.randrange(len(made) + 1)
        made = made[:place] + draw.randbytes(draw.randrange(5)) + made[place + draw.randrange(3) :]
    return made + (struct.pack("<d", 1.5) if draw.random() < 0.2 else b"")


@pytest.mark.parametrize("seed", range(8))
def test_no_body_makes_a_door_fail(client, log, failures, seed):
    """
    Some hundred odd ones at every door: each is answered by a status of 2xx or 4xx and JSON, and nothing is logged as a
    fault.
    """
    draw = random.Random(seed)
    paths = (INFER, f"{MODEL}/versions/3/infer", "/invocations", "/v1/outcomes")
    seen = set()
    for _ in range(60):
        for path in paths:
            body = odd_body(draw)
            headers = {"Content-Type": draw.choice(("application/json", "text/csv", "", "\xff"))}
            if draw.random() < 0.3:
                headers[JSON_LENGTH] = str(draw.choice((0, len(body), len(body) // 2, len(body) - 8, "x", "9" * 30)))
            if draw.random() < 0.2:
                headers["Idempotency-Key"] = draw.choice(("a", "\xff", "baton-probe-1", "k" * 300, "ä"))
            told = client.post(
                path, content=body, headers=[(name.encode(), v.encode("latin-1")) for name, v in headers.items()]
            )
            seen.add(told.status_code)
            assert told.status_code < 500, (path, body, told.text)
            assert path == INFER or told.json() is not None
    assert {400, 422} <= seen
    assert [] == failures.calls
    assert 0 == log.asking.rows
