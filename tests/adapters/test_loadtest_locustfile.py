"""Load by locust on a real broker: what it counts, when its gate fails, and what it leaves behind."""

import csv
import json
import re
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager

import psutil
import pytest
from confluent_kafka import Consumer, TopicPartition

from apps.common import topics
from apps.common.kafka_access import KafkaAccess
from apps.common.settings import Settings
from apps.common.waiting import pause, wait_until
from loadtest.gate import INTERRUPTED, Limits
from loadtest.load_shapes import LoadShape
from loadtest.peer import Peer, PeerLoop, pass_through, running
from stack import services
from stack.cli import load
from stack.cli.load import Load
from stack.embedded.services.kafka import topic_settings
from stack.environment import ROOT, inherited
from stack.preflight import answers
from tests.adapters.conftest import free_port
from tests.adapters.killed_starter import modules_that_end_with_a_killed_starter

STARTER = """
import os, sys, time
from stack.cli.load import locust
flags = FLAGS
with open(f"{sys.argv[1]}/locust.log", "wb") as log, locust(dict(os.environ), flags, log.fileno()):
    time.sleep(8)
    print("started", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def environment(kafka, request, tmp_path_factory):
    """What load and answerer are told; each test has topics of its own."""
    told = {"BATON_STACK": f"load-{abs(hash(request.node.name))}", "BATON_DATASET": "used_cars", "BATON_KAFKA": kafka}
    topics.wait_until_made(KafkaAccess(kafka), topic_settings(told["BATON_STACK"], services.load().delivery))
    rows = {"BATON_WORK": str(tmp_path_factory.mktemp("slices")), "BATON_TEST_ROWS": "100"}
    return inherited() | told | rows | {"PYTHONPATH": str(ROOT)}


def locust(environment, *flags):
    """A load of 5 s at 40/s that waits 3 s for an answer: how it ended, and what its verdict says."""
    common = ["--headless", "--only-summary", "--rate", "40", "--seconds", "5", "--deadline", "3"]
    command = [sys.executable, "-m", "locust", "-f", str(ROOT / "loadtest" / "locustfile.py"), *common, *flags]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=90)


def workers():
    """The flags for two of them, and for a master of their own."""
    return Load(1, 1, LoadShape.STEADY, 1, Limits(), processes=2).flags()[-8:]


class Forgetful(PeerLoop):
    """Answers all but each fiftieth request."""

    seen = 0

    def _write(self, message, prediction, rejection):
        self.seen += 1
        if self.seen % 50:
            super()._write(message, prediction, rejection)


@contextmanager
def forgetful(environment):
    """A forgetful answerer while the block runs."""
    told = {name.removeprefix("BATON_").lower(): value for name, value in environment.items()}
    loop = Forgetful(Settings(**{name: told[name] for name in ("kafka", "stack", "dataset")}), pass_through)
    ended = threading.Event()

    def turn():
        while not ended.is_set():
            loop.turn(together=False)

    thread = threading.Thread(target=turn)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        loop.close()


def requests_keys(environment):
    """The keys of all requests in the topic."""
    consumer = Consumer({"bootstrap.servers": environment["BATON_KAFKA"], "group.id": "keys"})
    topic = f"{environment['BATON_STACK']}.prediction-requests"
    places = [TopicPartition(topic, number, 0) for number in consumer.list_topics(topic).topics[topic].partitions]
    wanted = sum(consumer.get_watermark_offsets(place)[1] for place in places)
    consumer.assign(places)
    keys = [message.key().decode() for message in consumer.consume(wanted, 30)]
    consumer.close()
    return keys


def test_when_all_is_answered_the_gate_holds_and_every_request_has_both_rows(environment, tmp_path):
    """Exit code 0; as many acknowledgements as answers as requests sent; HTML and CSV are there."""
    files = ["--html", str(tmp_path / "load.html"), "--csv", str(tmp_path / "load")]
    with running(Peer.THROUGH, environment, tmp_path):
        ended = locust(environment, *files)
    with (tmp_path / "load_stats.csv").open() as lines:
        rows = {row["Type"]: (int(row["Request Count"]), int(row["Failure Count"])) for row in csv.DictReader(lines)}

    assert 0 == ended.returncode, ended.stderr
    sent = len(requests_keys(environment))
    assert sent in range(195, 260)
    assert ((sent, 0), (sent, 0)) == (rows["PRODUCE"], rows["PREDICT"])
    assert (tmp_path / "load.html").stat().st_size > 0


def test_requests_without_an_answer_become_failures_and_the_gate_fails(environment, tmp_path):
    """Each fiftieth is forgotten: as many failures, each after its deadline, exit code 1 and why; 3 % allow it."""
    with forgetful(environment):
        ended = locust(environment, "--verdict", str(tmp_path / "verdict.json"))
        verdict = json.loads((tmp_path / "verdict.json").read_text())
        allowed = locust(environment, "--slo-fail-ratio", "0.03")

    assert (1, verdict["requests"] // 50) == (ended.returncode, verdict["failures"]), ended.stderr
    assert verdict["failures"] >= 3
    assert 3000 <= verdict["p99_ms"] < 6000
    assert "share without an answer in time must be at most 0; got" in ended.stderr
    assert 0 == allowed.returncode, allowed.stderr


def test_two_workers_do_not_take_each_others_answers(environment, tmp_path):
    """On the same topics each counts its own: their keys bear two names, and each key has one answer that counts."""
    with running(Peer.THROUGH, environment, tmp_path):
        ended = locust(environment, *workers(), "--verdict", str(tmp_path / "verdict.json"))
    verdict = json.loads((tmp_path / "verdict.json").read_text())
    keys = requests_keys(environment)

    assert 0 == ended.returncode, ended.stderr
    assert (len(keys), 0) == (verdict["requests"], verdict["failures"])
    names = [key.rpartition("-")[0] for key in keys]
    assert 2 == len(set(names))
    assert all(names.count(name) > len(names) / 3 for name in set(names))


def test_a_worker_that_dies_fails_the_gate(environment, tmp_path):
    """What it had counted last is not known, whatever the others counted."""
    flags = ["--headless", "--rate", "40", "--seconds", "15", "--deadline", "1"]
    flags += [*workers(), "--verdict", str(tmp_path / "verdict.json")]
    log = tmp_path / "log"
    with (
        running(Peer.THROUGH, environment, tmp_path),
        log.open("wb") as told,
        load.locust(environment, flags, told.fileno()) as master,
    ):
        wait_until(lambda: "updating to 40 users" in log.read_text(), 60, "no load")
        psutil.Process(master.pid).children()[0].kill()
        code = master.wait(60)

    assert 1 == code, log.read_text()
    problems = json.loads((tmp_path / "verdict.json").read_text())["breaches"]
    assert 1 == sum("got 1 that died" in problem for problem in problems), problems


@pytest.mark.parametrize("how", ["workers", "page"])
def test_a_load_ends_with_a_starter_that_is_killed(how, environment, tmp_path):
    """Kill -9 of ``./baton load``: within seconds locust and its workers, or its page, are gone."""
    headless = ["--headless", "--seconds", "300", *workers()]
    flags = headless if how == "workers" else ["--web-host", "127.0.0.1", "--web-port", str(free_port())]
    program = STARTER.replace("FLAGS", str(flags))

    assert "locust" in modules_that_end_with_a_killed_starter(program, environment, tmp_path)


def test_the_command_tells_the_figures_and_fails_with_the_gate(environment, tmp_path, capsys):
    """What ``./baton load --json`` prints, by a limit that holds and one that cannot."""
    with running(Peer.THROUGH, environment, tmp_path):
        codes = [
            load.measure(environment, Load(40, 5, LoadShape.SPIKE, 2, limits), tmp_path, as_json=True)
            for limits in (Limits(p99_ms=600_000), Limits(p50_ms=0.001))
        ]
    well, ill = capsys.readouterr().out.strip().split("\n}\n")
    assert [0, 1] == codes
    assert [] == json.loads(well + "}")["load"]["breaches"]
    assert ["p50 in ms must be at most 0.001"] == [
        sentence.split(";")[0] for sentence in json.loads(ill)["load"]["breaches"]
    ]


def test_a_load_that_the_client_cannot_offer_fails_by_its_own_sentence(environment, tmp_path):
    """One process is asked for far more than it can send: that is said, whatever became of the rest."""
    with running(Peer.THROUGH, environment, tmp_path):
        ended = locust(environment, "--rate", "20000", "--slo-fail-ratio", "1", "--verdict", str(tmp_path / "verdict"))

    assert 1 == ended.returncode, ended.stderr
    problems = json.loads((tmp_path / "verdict").read_text())["breaches"]
    assert [1, 1] == [
        sum(problem.startswith(words) for problem in problems)
        for words in ("the client must send", "Kafka must have acknowledged")
    ]


@pytest.mark.parametrize("kind", ["stdin", "SIGINT", "workers", "page"])
def test_a_load_that_is_interrupted_never_passes(kind, environment, tmp_path):
    """Nobody answers, and no deadline is over yet: the exit code says so, and how many requests waited is told."""
    page = ["--autostart", "--web-host", "127.0.0.1", "--web-port", str(free_port())]
    more = {"workers": ["--headless", *workers()], "page": page}.get(kind, ["--headless"])
    verdict, log = tmp_path / "verdict.json", tmp_path / "log"
    rate = 2000 if kind == "SIGINT" else 40  # a busy wire: the signal comes while one of its threads runs
    flags = ["--rate", str(rate), "--seconds", "300", "--deadline", "100", "--verdict", str(verdict), *more]
    with log.open("wb") as told, load.locust(environment, flags, told.fileno()) as process:
        wait_until(lambda: f"updating to {rate} users" in log.read_text(), 60, log.read_text)
        pause(5)
        if kind == "SIGINT":
            process.send_signal(signal.SIGINT)
            process.wait(20)

    assert INTERRUPTED == process.returncode, log.read_text()
    first, *_ = json.loads(verdict.read_text())["breaches"]
    found = re.search(r"it was interrupted; (\d+) requests were under way", first)
    assert int(found[1]) > 60


def test_a_page_on_which_no_load_was_started_ends_well(environment, tmp_path):
    """There is nothing to judge."""
    log, port = tmp_path / "log", free_port()
    flags = ["--web-host", "127.0.0.1", "--web-port", str(port)]
    with log.open("wb") as told, load.locust(environment, flags, told.fileno()) as process:
        wait_until(lambda: answers(port), 60, log.read_text)

    assert 0 == process.returncode, log.read_text()


def test_a_load_without_its_topics_says_so(environment):
    """There is nothing to send to: one sentence, and exit code 1."""
    ended = locust({**environment, "BATON_STACK": "nobodys"})

    assert 1 == ended.returncode
    assert "must have the topic nobodys.prediction-requests; got none" in ended.stderr
    assert "Traceback" not in ended.stderr
