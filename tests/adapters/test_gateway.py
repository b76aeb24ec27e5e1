"""
The gateway as a process, on a real broker.

What answers here is a few lines in this process that write what a server of ours would write; the real server stands
behind it in tests/e2e.
"""

import json
import signal
import threading

import pytest
import requests
from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from apps.common.messages import IN_OFFSET, IN_PARTITION, IN_TIMESTAMP, PROBE_PREFIX, Writer
from apps.common.names import StackNames
from apps.common.settings import load
from apps.common.topics import TopicSettings, wait_until_made
from apps.common.waiting import wait_until
from stack import services
from stack.cli.conform.run import run as conform
from stack.environment import HOST
from tests.adapters.conftest import free_port
from tests.adapters.started_server import PARTITIONS, StartedServer, killed_behind, scraped

NAMES = StackNames("gateway", "boston_housing")
READY_S, ANSWER_S = 60, 20


class AnsweringByHand:
    """Answers each request by ``more`` than its field ``rm``, rejects one without; only while ``on`` is set."""

    names = NAMES

    def __init__(self, kafka, version="1", release=1, reads=""):
        self.writer, self.more = Writer(self.names.model, version, release, reads=reads), 0
        self.on, self.over, self.idle, self.asked = threading.Event(), threading.Event(), threading.Event(), []
        self._consumer = KafkaConsumer(bootstrap_servers=kafka, group_id=None, enable_auto_commit=False)
        self._producer = KafkaProducer(bootstrap_servers=kafka)
        places = [TopicPartition(self.names.requests, partition) for partition in PARTITIONS]
        self._consumer.assign(places)
        self._consumer.seek_to_beginning(*places)
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self):
        while not self.over.is_set():
            if self.on.wait(0.1):
                for records in self._consumer.poll(timeout_ms=50).values():
                    for record in records:
                        self._answer(record)
            else:
                self.idle.set()

    def stop(self):
        """Answer nothing more."""
        self.on.clear()
        self.idle.clear()
        assert self.idle.wait(READY_S)

    def _answer(self, record):
        self.asked.append(record.key.decode())
        number = json.loads(record.value).get("rm")
        reason = None if isinstance(number, int | float) else "rm must be a number"
        place = {IN_PARTITION: record.partition, IN_OFFSET: record.offset, IN_TIMESTAMP: record.timestamp}
        headers = self.writer.headers() | {name: str(said) for name, said in place.items()}
        self._producer.send(
            self.names.answers,
            json.dumps({"prediction": None if reason else number + self.more, "rejection": reason}).encode(),
            record.key,
            headers=[(name, text.encode()) for name, text in headers.items()],
            partition=record.partition,
        ).get(10)

    def end(self):
        """Leave Kafka."""
        self.over.set()
        self._thread.join()
        self._consumer.close()
        self._producer.close()


@pytest.fixture(scope="module", autouse=True)
def topics(kafka):
    """Those of a stack of this module's own."""
    make_topics(kafka, NAMES)


def make_topics(kafka, names):
    """Those of a stack."""
    delivery = services.load().delivery
    told = {name: getattr(delivery, name) for name in vars(delivery) if name in TopicSettings.model_fields}
    settings = load(TopicSettings, kafka=kafka, stack=names.stack, dataset=names.dataset, **told)
    wait_until_made(settings.kafka_access, settings)


@pytest.fixture(scope="module")
def answering(kafka):
    """What stands for a server."""
    one = AnsweringByHand(kafka)
    one.on.set()
    yield one
    one.end()


class StartedGateway(StartedServer):
    """A gateway process; ``call`` asks it by HTTP."""

    names = NAMES

    def __init__(self, folder, kafka, **more):
        self.port, self.metrics = free_port(), free_port()
        told = {
            "BATON_KAFKA": kafka,
            "BATON_STACK": self.names.stack,
            "BATON_DATASET": self.names.dataset,
            "BATON_GATEWAY_PORT": str(self.port),
            "BATON_METRICS_PORT": str(self.metrics),
            **more,
        }
        super().__init__(folder, told, "apps.gateway")

    def call(self, method, path, **more):
        """The response; None while nobody listens."""
        try:
            return requests.request(method, f"http://{HOST}:{self.port}{path}", timeout=ANSWER_S, **more)
        except requests.ConnectionError:
            return None

    def is_ready(self):
        """Whether it says so."""
        told = self.call("GET", "/v2/health/ready")
        return told is not None and told.ok

    def infer(self, request_id, *cells):
        """Rows with one column asked by an id."""
        tensor = {"name": "rm", "datatype": "FP64", "shape": [len(cells)], "data": list(cells)}
        return self.call("POST", f"/v2/models/{self.names.model}/infer", json={"id": request_id, "inputs": [tensor]})


def gateways(kafka, folders, kind=None, **more):
    """What starts gateways; all of them are ended behind the block."""
    kind = kind or StartedGateway
    return killed_behind(lambda **own: kind(folders.mktemp("gateway"), kafka, **{**more, **own}))


@pytest.fixture
def start(kafka, tmp_path_factory):
    """Start a gateway whose patience is short."""
    with gateways(kafka, tmp_path_factory, BATON_TIMEOUT_S="3") as begin:
        yield begin


def ready(gateway):
    """The same gateway, once it says that an infer would be answered."""
    wait_until(gateway.is_ready, READY_S, gateway.describe)
    return gateway


def test_a_gateway_is_ready_when_somebody_has_answered(kafka, start, answering):
    """
    On topics without an answer it says what it waits for, asks once itself, and is ready once that is answered.
    """
    answering.stop()
    gateway = start()
    wait_until(lambda: gateway.call("GET", "/v1/following"), READY_S, gateway.describe)
    told = gateway.call("GET", "/v2/health/ready")
    if told.status_code == 503:
        assert gateway.infer("too-soon", 1).status_code == 503
    answering.on.set()
    ready(gateway)

    assert [key for key in answering.asked if key.startswith(PROBE_PREFIX)]
    assert "too-soon" not in answering.asked


def test_the_same_id_has_one_answer_after_a_kill_and_at_another_gateway(start, answering):
    """
    What was asked and answered is read from the log: nothing is asked twice, and another body is a conflict.
    """
    first = ready(start())
    answer = first.infer("once", 6.5, None)
    assert (200, [6.5, None]) == (answer.status_code, answer.json()["outputs"][0]["data"])
    first.child.kill()
    second, third = ready(start()), ready(start())

    assert answer.json() == second.infer("once", 6.5, None).json() == third.infer("once", 6.5, None).json()
    assert 409 == second.infer("once", 7.5, None).status_code
    assert ["once/0", "once/1"] == sorted(key for key in answering.asked if key.startswith("once"))


def test_what_was_not_answered_in_time_is_answered_later(start, answering):
    """
    504 names the id; then nothing new is taken, until a server is there again: then it is ready, and has the answer.
    """
    gateway = ready(start())
    answering.stop()
    late = gateway.infer("late", 5)
    assert (504, ["late"]) == (late.status_code, late.json()["ids"])
    assert 202 == gateway.call("GET", "/v1/answers/late").status_code
    wait_until(lambda: not gateway.is_ready(), READY_S, gateway.describe)
    assert 503 == gateway.infer("turned-away", 5).status_code
    answering.on.set()
    ready(gateway)

    assert 5 == gateway.call("GET", "/v1/answers/late").json()["prediction"]
    assert "turned-away" not in answering.asked


def test_sigterm_answers_what_is_in_flight(start, answering):
    """
    Nothing new is taken, and the one who waits gets the answer; then the process is gone.
    """
    gateway = ready(start(BATON_TIMEOUT_S="10"))
    answering.stop()
    got = []
    asking = threading.Thread(target=lambda: got.append(gateway.infer("last", 4)))
    asking.start()
    wait_until(lambda: scraped(gateway.metrics).get("baton_gateway_rows_in_flight") == 1, READY_S, gateway.describe)
    gateway.child.send(signal.SIGTERM)
    wait_until(lambda: gateway.call("GET", "/v2") is None, READY_S, gateway.describe)
    answering.on.set()
    asking.join(ANSWER_S)

    assert 200 == got[0].status_code
    assert 0 == gateway.wait_end()


def test_a_gateway_passes_every_check_of_the_protocol(start, answering, capsys):
    """
    By ./baton conform, with rows made from the metadata; what is not offered is for lists in a row, and texts.
    """
    gateway = ready(start(BATON_TIMEOUT_S="10"))
    code = conform(f"http://{HOST}:{gateway.port}", "", None, as_json=True)
    told = json.loads(capsys.readouterr().out)

    assert (0, []) == (code, [one for one in told["checks"] if one["outcome"] == "failed"])
    assert NAMES.model == told["model"]
    not_offered = [one["name"] for one in told["checks"] if one["outcome"] == "not offered"]
    assert ["flat and nested data", "text of any alphabet"] == not_offered


def test_outcomes_stand_in_their_topic_and_figures_are_told(kafka, start, answering):
    """
    Each under the id of its request, as the dropper writes them.
    """
    gateway = ready(start())
    taken = gateway.call("POST", "/v1/outcomes", json=[{"request_id": "once/0", "outcome": 21.5}])
    consumer = KafkaConsumer(NAMES.outcomes, bootstrap_servers=kafka, auto_offset_reset="earliest")
    found = []
    wait_until(lambda: found.extend(one for rs in consumer.poll(200).values() for one in rs) or found, ANSWER_S, "none")
    consumer.close()

    assert (202, b"once/0") == (taken.status_code, found[0].key)
    assert {"request_id": "once/0", "outcome": 21.5} == json.loads(found[0].value)
    door = 'baton_gateway_requests_total{code="202",door="POST /v1/outcomes"}'
    wait_until(lambda: scraped(gateway.metrics).get(door) == 1, READY_S, gateway.describe)
