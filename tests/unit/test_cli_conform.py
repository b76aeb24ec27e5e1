"""Each check of ./baton conform passes a sound server, and fails the one that has the fault it looks for."""

import json
from functools import partial

import pytest
from typer.testing import CliRunner

from stack.cli.commands import app
from stack.cli.conform.checks import CHECKS
from stack.cli.conform.exchange import REQUESTS, Endpoint
from stack.cli.conform.run import Conformance, look, run
from stack.cli.conform.subject import found
from tests.unit.toy_model_server import MODEL, OUTPUTS, ROOT, serving

BY_NAME = {check.name: check for check in CHECKS}
INFER, VERSIONED = f"{ROOT}/infer", f"{ROOT}/versions/v1/infer"


def outcomes(fault=None, checks=CHECKS, *, wide=False):
    """What came of checks, by their names."""
    with serving(fault, wide=wide) as url:
        return {one.name: one for one in look(found(Endpoint(url), MODEL, None), checks)}


def said(request):
    """The answer as it is."""
    return request[3:]


def when(holds, change):
    """A fault in those answers whose request it is."""
    return lambda request: change(request) if holds(request) else said(request)


def at(path, change):
    """A fault in the answers of a path."""
    return when(lambda request: request.path == path, change)


def told(change, request):
    """The answer with another JSON object."""
    body = json.loads(request.said)
    change(body)
    return request.status, request.headers, json.dumps(body).encode()


def fields(**more):
    """Fields in place of those of the object."""
    return partial(told, lambda body: body.update(more))


def first_output(**more):
    """Fields in place of those of the first output."""
    return partial(told, lambda body: body["outputs"][0].update(more))


def status(code):
    """Another status."""
    return lambda request: (code, request.headers, request.said)


def headers(**more):
    """Other headers, and a JSON body still."""
    return lambda request: (request.status, {name.replace("_", "-"): text for name, text in more.items()}, request.said)


def refused(request):
    """Whether the server refuses an infer."""
    return request.path == INFER and request.status >= 400


def answered(request):
    """Whether it answers one that does more than the first: that has a word of its own in it."""
    return request.path == INFER and request.status == 200


def with_word(*words):
    """Infers whose JSON has one of these words in it."""
    return lambda request: request.path == INFER and any(word.encode() in request.body for word in words)


def rows(*, at_least):
    """Infers of so many rows."""

    def holds(request):
        asked = request.asked
        return bool(request.path == INFER and asked and asked["inputs"][0]["shape"][0] >= at_least)

    return holds


def without_id(request):
    """Infers that have none."""
    return answered(request) and "id" not in request.asked


def nested(request):
    """Infers whose data are lists of lists."""
    return answered(request) and isinstance(request.asked["inputs"][0]["data"][0], list)


def crash(request):
    """As a server whose code raises: an error, and a status that blames the server."""
    return 500, {}, b'{"error": "a bug"}'


def plain_500(request):
    """As a web framework does where nobody catches anything."""
    return 500, {"Content-Type": "text/plain"}, b"Internal Server Error"


def taken(request):
    """As if nothing were wrong."""
    return 200, {}, b'{"model_name": "toy", "outputs": []}'


def detail(request):
    """As FastAPI says it by default."""
    return 422, {}, b'{"detail": "no"}'


def silence(request):
    """No answer at all."""


class SecondInfer:
    """A fault in what comes behind the plain infer."""

    def __init__(self, change):
        self.change, self.infers = change, 0

    def __call__(self, request):
        """The answer as it is, once."""
        self.infers += request.path == INFER
        return said(request) if self.infers < 2 else self.change(request)


ID_OF_ANOTHER = fields(id="of-another")
FAULTS = {
    "live": at("/v2/health/live", fields(live="yes")),
    "ready": at("/v2/health/ready", status(503)),
    "server metadata": at("/v2", fields(extensions=None)),
    "model metadata": at(ROOT, fields(outputs=[{"name": "sum", "datatype": "DOUBLE", "shape": [-1]}])),
    "platform as <project>_<format>": at(ROOT, fields(platform="")),
    "model ready": at(f"{ROOT}/ready", fields(name="another")),
    "paths with a version": at(VERSIONED, fields(model_version="v2")),
    "unknown version": at(f"{ROOT}/versions/no-such-version/infer", taken),
    "unknown model": at("/v2/models/no-such-model", detail),
    "unknown model is not ready": at("/v2/models/no-such-model/ready", status(200)),
    "infer: shapes and data agree": when(answered, first_output(shape=[2])),
    "model_name": when(answered, fields(model_name="another")),
    "the id comes back": when(answered, ID_OF_ANOTHER),
    "infer without an id": when(without_id, status(400)),
    "outputs are those of the metadata": at(ROOT, fields(outputs=OUTPUTS[:1])),
    "a requested output": when(with_word('"outputs"'), fields(outputs=[])),
    "several rows": when(rows(at_least=3), first_output(shape=[1], data=[1.0])),
    "100 rows": when(rows(at_least=100), status(413)),
    "flat and nested data": when(nested, status(400)),
    "columns as [n, 1]": when(nested, crash),
    "text of any alphabet": when(with_word("Zo"), crash),
    "parameters of others": when(with_word("x_flag"), crash),
    "text among numbers": when(with_word("soon"), plain_500),
    "no rows": when(refused, crash),
    "without an input": when(refused, crash),
    "unknown input": when(with_word("no-such-input"), silence),
    "16 infers at once keep their ids": when(answered, ID_OF_ANOTHER),
    "Content-Type of answers": when(refused, headers(Content_Type="text/html")),
    "GET on infer": when(lambda request: request.method == "GET" and request.path == INFER, headers(Allow="GET")),
    "HEAD on infer": when(lambda request: request.method == "HEAD", status(200)),
    "unknown path": at("/v2/no-such-model", status(200)),
    "body of 8 MiB": when(lambda request: len(request.body) > 1_000_000, silence),
    "chunked body": SecondInfer(crash),
    "connection after an error": when(answered, SecondInfer(silence)),
    "binary inputs": when(lambda request: answered(request) and request.asked is None, first_output(data=[7.0])),
    "binary outputs": when(
        with_word("binary_data_output"), lambda request: (request.status, request.headers, request.said[:-1])
    ),
    "binary data of a wrong size": when(refused, crash),
    "binary data behind a wrong length": when(refused, taken),
}
REFUSED = [check.name for check in CHECKS if check.does.__module__.endswith("refusing")]


@pytest.mark.parametrize("wide", [False, True])
def test_a_sound_server_passes_every_check(wide):
    """
    And what its model has not is not offered: lists in rows of single columns, columns where a row is a list.
    """
    got = outcomes(wide=wide)

    assert [] == [f"{one.name}: {one.got}" for one in got.values() if one.outcome is Conformance.FAILED]
    not_offered = "columns as [n, 1]" if wide else "flat and nested data"
    assert [not_offered] == [one.name for one in got.values() if one.outcome is Conformance.NOT_OFFERED]


@pytest.mark.parametrize("name", FAULTS)
def test_a_check_fails_the_server_that_has_its_fault(name):
    """
    Each is seen red by one planted deviation.
    """
    got = outcomes(FAULTS[name], [BY_NAME[name]], wide=name == "flat and nested data")[name]

    assert (Conformance.FAILED, True) == (got.outcome, bool(got.got))


@pytest.mark.parametrize("fault", [crash, plain_500, taken, detail, silence])
def test_what_no_server_can_answer_must_be_refused_by_4xx_with_an_error(fault):
    """
    A status that blames the server, an error in other words, success and silence all fail each of these checks.
    """
    got = outcomes(when(refused, fault), [BY_NAME[name] for name in REFUSED])

    assert dict.fromkeys(REFUSED, Conformance.FAILED) == {name: one.outcome for name, one in got.items()}


def test_every_check_has_a_planted_fault():
    """
    Nothing is looked for that no test has seen missing.
    """
    assert BY_NAME.keys() == FAULTS.keys() | set(REFUSED)


def test_a_failed_check_names_what_wants_it_otherwise():
    """
    An error object in other words is the protocol's to want, a status of 4xx HTTP's.
    """
    one = BY_NAME["no rows"]

    assert "Inference Response JSON Error Object" == outcomes(when(refused, detail), [one])["no rows"].source
    assert "RFC 9110, 15.5" == outcomes(when(refused, crash), [one])["no rows"].source


def test_a_run_ends_by_its_verdict(capsys, tmp_path):
    """
    0 when nothing failed, 1 when something did, 2 when the server cannot be judged; never more than 200 requests.
    """
    with serving() as url:
        assert 0 == run(url, MODEL, None, as_json=True)
        told = json.loads(capsys.readouterr().out)

    with serving(at("/v2", status(500))) as url:
        assert 1 == run(url, MODEL, None, as_json=False)
    assert 2 == run(url, MODEL, None, as_json=False)
    with serving(when(answered, status(422))) as url:
        assert 2 == run(url, MODEL, None, as_json=False)

    assert (len(CHECKS) - 1, 0, 1) == (told["passed"], told["failed"], told["not_offered"])
    assert told["requests"] <= REQUESTS / 2


@pytest.mark.parametrize(
    "words", [[], ["ftp://127.0.0.1"], ["http://127.0.0.1:1", "--nonsense"], ["http://127.0.0.1:1", "--input", "none"]]
)
def test_a_wrong_command_line_is_no_verdict(words):
    """
    Its exit code is 64, as the prover's: 2 says that a server cannot be judged.
    """
    assert 64 == CliRunner().invoke(app, ["conform", *words]).exit_code


def test_a_body_of_ones_own_is_taken_row_by_row(tmp_path):
    """
    --input is where neutral rows would be refused: its first row is what every check is made of.
    """
    body = {"inputs": [{"name": "x", "shape": [2, 2], "datatype": "FP64", "data": [[1.5, 2], [3, 4]]}]}
    body["inputs"].append({"name": "word", "shape": [2], "datatype": "BYTES", "data": ["one", "two"]})
    file = tmp_path / "body.json"
    file.write_text(json.dumps(body))
    with serving(wide=True) as url:
        subject = found(Endpoint(url), MODEL, body)
        assert 0 == run(url, MODEL, file, as_json=False)
        file.write_text('{"inputs": [{"name": "x"}]}')
        assert 64 == run(url, MODEL, file, as_json=False)

    assert [[1.5, 2], ["one"]] == [one.cells for one in subject.row]
    assert 3.5 == subject.first.json()["outputs"][0]["data"][0]
