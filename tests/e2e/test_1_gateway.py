"""Requests by HTTP through a gateway to the version that serves, and what a kill of the gateway changes: nothing."""

import json
import sys
from contextlib import contextmanager

import requests
from confluent_kafka import KafkaError

from apps.common.settings import kafka_access
from apps.common.waiting import wait_until
from loadtest.recorder import arriving, positioned
from stack.cli import replayed
from stack.cli.conform.run import run as conform
from stack.embedded.process import Child
from stack.embedded.services import cache as cache_specs
from stack.embedded.services.spec import StackContext
from stack.environment import HOST, ROOT, inherited
from stack.services import load

READY_S, ANSWER_S = 60, 30
URL = load().service("gateway").address_at(HOST)


@contextmanager
def gateway(pipeline, folder, **more):
    """A gateway process beside the stack, as the supervisor starts one; killed behind the block."""
    told = {**pipeline.environment, "BATON_READY_FILE": str(folder / "ready.json"), **more}
    child = Child.start([sys.executable, "-m", "apps.gateway"], told, folder / "log", ROOT)
    try:
        wait_until(is_ready, READY_S, lambda: (folder / "log").read_text()[-3000:])
        yield child
    finally:
        child.kill()


def is_ready():
    """Whether an infer would be answered, as it says."""
    try:
        return requests.get(f"{URL}/v2/health/ready", timeout=ANSWER_S).ok
    except requests.ConnectionError:
        return False


def infer(pipeline, fields, request_id):
    """The answer to one row."""
    body = {"id": request_id, "inputs": tensors(fields)}
    return requests.post(f"{URL}/v2/models/{pipeline.names.model}/infer", json=body, timeout=ANSWER_S)


def tensors(fields):
    """One row as inputs."""
    return [{"name": name, "shape": [1], "datatype": "BYTES", "data": [cell]} for name, cell in fields.items()]


def asked(pipeline, request_id):
    """How many records of the requests topic have that id."""
    access = kafka_access(pipeline.environment)
    topics = [pipeline.names.requests]
    consumer = positioned(access, f"{pipeline.names.stack}.e2e", topics, from_beginning=True, committed=True)
    places, ended, found = len(consumer.assignment()), set(), 0

    def read():
        nonlocal found
        for message, _ in arriving(consumer):
            if (error := message.error()) is None:
                found += message.key() == request_id.encode()
            elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - so it is called
                ended.add(message.partition() or 0)
        return len(ended) == places

    try:
        wait_until(read, READY_S, lambda: f"the requests must be read to their end; got partitions {sorted(ended)}")
    finally:
        consumer.close()
    return found


def test_an_id_has_one_answer_by_the_version_that_serves_though_the_gateway_is_killed(
    pipeline, first_version, tmp_path, capsys
):
    """
    The gateway's answer is that of Kafka, by both protocols; after kill -9 the same id has the same answer, and was
    asked once. ./baton conform finds nothing in which it does not keep the protocol.
    """
    fields = json.loads(replayed.requests(pipeline)[16])
    with gateway(pipeline, tmp_path) as child:
        first = infer(pipeline, fields, "e2e-once")
        scored = requests.post(
            f"{URL}/invocations", json={"dataframe_records": [fields, {"year": "soon"}]}, timeout=ANSWER_S
        )
        child.kill()
    with gateway(pipeline, tmp_path):
        again = infer(pipeline, fields, "e2e-once")
        conflict = infer(pipeline, fields | {"year": "2001"}, "e2e-once")
        (tmp_path / "car.json").write_text(json.dumps({"inputs": tensors(fields)}))
        conforms = conform(URL, "", tmp_path / "car.json", as_json=False)

    assert 1 == asked(pipeline, "e2e-once"), "an id must be asked once"
    assert 200 == first.status_code, first.text
    told = first.json()
    assert pipeline.served_version() == told["model_version"]
    assert told == again.json()
    assert 409 == conflict.status_code
    assert 0 == conforms, "".join(capsys.readouterr())
    (prediction,) = told["outputs"][0]["data"]
    assert [prediction, None] == scored.json()["predictions"]
    assert "year must be a number" in scored.json()["rejections"][0]["reason"]


@contextmanager
def valkey(folder):
    """The cache beside the stack, as the supervisor starts it; killed behind the block."""
    context = StackContext(folder, load(), inherited())
    spec = cache_specs.spec(context, {})
    child = Child.start(spec.command(), context.marked(spec.environment), context.log("cache"), spec.folder)
    try:
        yield child
    finally:
        child.kill()


def test_what_the_real_server_answered_is_found_again_by_what_the_version_reads(pipeline, first_version, tmp_path):
    """
    The header that says what it reads comes from the version's own contract; a row that differs in nothing of that has
    the same answer, by the same version, without a request; one that differs in what is read has not.
    """
    fields = json.loads(replayed.requests(pipeline)[17])
    with valkey(tmp_path), gateway(pipeline, tmp_path, BATON_CACHE="on"):
        found = []

        def hit():
            found.append(infer(pipeline, fields, f"e2e-found-{len(found)}").json())
            return "cached" in found[-1]["parameters"]

        wait_until(hit, READY_S, lambda: f"a row must be found again; got {found[-3:]}")
        told = infer(pipeline, fields | {"description": "another text"}, "e2e-unread").json()
        other = infer(pipeline, fields | {"year": "2001"}, "e2e-read").json()

    assert 1 == told["parameters"]["cached"]
    assert found[0]["outputs"] == found[-1]["outputs"] == told["outputs"]
    assert pipeline.served_version() == told["model_version"]
    assert "cached" not in other["parameters"]
    assert 0 == asked(pipeline, "e2e-unread")
    assert 1 == asked(pipeline, "e2e-read")
