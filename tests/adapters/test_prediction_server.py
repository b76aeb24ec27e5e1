"""
The server as a process, with a real broker, a real MLflow and the real-time trigger.

The tests run from top to bottom on one topic: ``first`` serves release 1 until the hand-over ends it.
"""

import json
import shutil
import signal
import struct
import threading
from contextlib import closing, contextmanager
from dataclasses import replace

import pytest
import structlog
from kafka import KafkaProducer

from apps.batch_dropper.encoding import Request
from apps.batch_dropper.replay import Replay
from apps.common import registry
from apps.common.errors import DeadlineMissed, Unavailable
from apps.common.exit_codes import DONE, FAILED, REFUSED
from apps.common.kafka_access import KafkaAccess
from apps.common.messages import PROBE_PREFIX, Writer, first_answers
from apps.common.model import Model
from apps.common.ready_file import BEAT_S
from apps.common.send_journal import SendWriter
from apps.common.topics import make
from apps.common.waiting import pause, wait_until
from apps.prediction_server import session
from apps.prediction_server.probe import Probe
from apps.prediction_server.progress_rules import BEGIN_S
from apps.prediction_server.settings import RescoreSettings
from apps.trainer.artifacts import checksums
from loadtest.reader import AnswerReader
from loadtest.traffic import read_expected
from stack.embedded.services.kafka import topic_settings
from stack.environment import inherited
from stack.java import jars
from tests.adapters import small_model
from tests.adapters.conftest import Broker, free_port, with_topics
from tests.adapters.small_model import NAME, NAMES, request
from tests.adapters.started_server import (
    ANSWER_S,
    NOBODY,
    NOBODYS,
    PARTITIONS,
    Asked,
    StartedServer,
    all_answers,
    scraped,
)
from tests.secure_broker import SecureBroker

POISON = {
    "no-json": b"{broken",
    "null": None,
    "missing": b"{}",
    "renamed": b'{"Area": "50"}',
    "twice": b'{"area": "50", "area": "51"}',
    "registry": b"\0\0\0\0\x01" + request("50"),
    "endless": request("1" * 60_000 + "x"),
    "wrong-type": request([1]),
    "nan": b'{"area": NaN}',
    "million-bytes": b'{"area": "' + b"5" * 999_988 + b'"}',
    "not-utf8": b"\xff\xfe\x00",
    "": request("50"),
}
BAD = ("corrupt", "forgetful", "foreign")
HARMLESS = {"unknown-category": request("50", "atlantis"), "extra-field": request("50", colour="red")}


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Two good versions and three that must not serve, each in a folder of its name."""
    folder = tmp_path_factory.mktemp("models")
    told = RescoreSettings(versions="", out=folder, scratch=folder / "spark", spark_jars=jars("spark-kafka"), heap="1g")
    spark = session.start(told, "test")
    small_model.save(spark, folder / "double", 2.0)
    small_model.save(spark, folder / "triple", 3.0)
    spark.stop()
    for name in BAD:
        shutil.copytree(folder / "double", folder / name)
    spoil(folder)
    return folder


@pytest.fixture(scope="module")
def versions(mlflow, models):
    """The numbers of the registered versions, by name."""
    return {name: small_model.publish(mlflow, models / name) for name in ("double", "triple", *BAD)}


def spoil(folder):
    """One byte changed after the checksums; one golden row that it never gave; one class that is not Spark's."""
    forest = next((folder / "corrupt" / "baton" / "pipeline" / "stages").glob("5_*/data"))
    forest.write_bytes(forest.read_bytes()[:-1] + b"?")
    golden = folder / "forgetful" / "baton" / "golden.jsonl"
    row = json.loads(golden.read_text().splitlines()[0])
    golden.write_text(json.dumps({**row, "prediction": row["prediction"] + 0.001}) + "\n")
    metadata = next((folder / "foreign" / "baton" / "pipeline" / "stages").glob("1_*/metadata"))
    metadata.write_text(metadata.read_text().replace("org.apache.spark.ml.feature.StringIndexerModel", "os.path"))
    for name in BAD[1:]:
        manifest = folder / name / "baton" / "manifest.json"
        manifest.unlink()
        manifest.write_text(json.dumps(checksums(folder / name)))


@pytest.fixture(scope="module")
def door():
    """The port at which every server tells its figures: as in a stack, one server's at a time."""
    return free_port()


@pytest.fixture(scope="module")
def serve(kafka, mlflow, versions, door, tmp_path_factory):
    """Start a server of a release; everything started is ended."""
    started = []

    def start(release, version, **more):
        told = {"BATON_KAFKA": kafka, "BATON_MLFLOW": mlflow, "BATON_RELEASE": str(release), **more}
        told = {"BATON_MODEL_VERSION": versions[version], "BATON_METRICS_PORT": str(door), **told}
        server = StartedServer(tmp_path_factory.mktemp(f"release-{release}-"), told)
        started.append(server)
        return server

    yield start
    for server in started:
        server.child.kill()


@pytest.fixture(scope="module")
def first(serve):
    """Release 1, ready."""
    server = serve(1, "double")
    server.wait_ready()
    return server


@pytest.fixture(scope="module")
def producer(kafka):
    """A client that asks."""
    client = KafkaProducer(bootstrap_servers=kafka, max_request_size=2_000_000)
    yield client
    client.close()


@pytest.fixture
def asked(kafka, producer):
    """A question and its answers."""
    return Asked(kafka, producer)


@contextmanager
def traffic(asked, rate):
    """Requests to both partitions while the block runs."""
    ended = threading.Event()

    def send():
        number = 0
        while not ended.wait(1 / rate):
            asked.send(f"r-{number}", request(str(10 + number % 300)), partition=number % 2)
            number += 1

    sender = threading.Thread(target=send)
    sender.start()
    try:
        yield
    finally:
        ended.set()
        sender.join()


@pytest.mark.parametrize(
    ("version", "reason"),
    [
        ("corrupt", r"must have sha256"),
        ("forgetful", "golden row 0 must give"),
        ("foreign", "must name a class of Spark ML; got 'os.path'"),
    ],
)
def test_a_version_that_is_not_as_it_was_trained_never_serves(serve, version, reason):
    """
    A changed byte, another prediction than in training or a foreign class: the server ends and says why.
    """
    server = serve(9, version)

    assert server.wait_end() == REFUSED
    assert reason in server.log.read_text()
    assert not server.ready.exists()


def test_a_ready_server_has_answered_its_own_probes(first, kafka, versions):
    """
    The ready file names release and version, and each partition has been through Kafka and back.
    """
    probes = [answer for answer in all_answers(kafka) if answer.request_id.startswith(PROBE_PREFIX)]

    assert json.loads(first.ready.read_text()) == {"release": 1, "version": versions["double"], "state": "serving"}
    assert {(one.request_id, one.in_partition) for one in probes} == {(f"{PROBE_PREFIX}1-{n}", n) for n in PARTITIONS}
    assert {one.release for one in probes} == {1}


def test_an_answer_of_another_process_proves_nothing(first, kafka, models):
    """
    A second process of the same release that cannot write is not proven by the answers that the first one gives.
    """
    mute = Writer(NAMES.model, "1", release=1)

    model, log = Model("1", models / "double", ""), structlog.get_logger()
    probe = Probe(KafkaAccess(kafka), NAMES, PARTITIONS, model, mute, 3, lambda: None, log)
    with closing(probe), pytest.raises(DeadlineMissed, match="must answer its probes"):
        probe.ask()
    assert first.child.alive()


def test_requests_of_an_aborted_transaction_are_not_answered(first, kafka, asked):
    """
    Nobody was promised an answer to what was taken back; what is committed, and what stands behind, is answered.
    """
    client = KafkaProducer(bootstrap_servers=kafka, transactional_id="aborts-and-commits")
    client.init_transactions()
    client.begin_transaction()
    aborted = client.send(NAMES.requests, request("50"), key=b"aborted", partition=0).get(10)
    client.abort_transaction()
    client.begin_transaction()
    committed = client.send(NAMES.requests, request("50"), key=b"committed", partition=0)
    client.commit_transaction()
    client.close()
    asked.positions["committed"] = (0, committed.get(10).offset)
    asked.send("behind", request("50"))

    found = asked.wait()

    assert {key: answer.rejection for key, answer in found.items()} == {"committed": None, "behind": None}
    assert [answer for answer in all_answers(kafka) if answer.position == (0, aborted.offset)] == []
    assert first.child.alive()


def test_poison_is_rejected_one_by_one_and_the_query_lives(first, asked):
    """
    Every kind of bad request gets one rejection; what stands before and behind it gets its prediction.
    """
    for place, (key, value) in enumerate({**POISON, **HARMLESS}.items()):
        asked.send(f"before-{place}", request("50"), partition=place % 2)
        asked.send(key, value, partition=place % 2)
        asked.send(f"behind-{place}", request("50"), partition=place % 2)

    found = asked.wait()

    bad = {key: (answer.prediction, answer.rejection) for key, answer in found.items() if key in POISON}
    fine = [answer for key, answer in found.items() if key not in POISON]
    assert {key for key, (prediction, reason) in bad.items() if prediction is None and reason} == POISON.keys()
    assert [answer for answer in fine if answer.rejection or abs(answer.prediction - 100) > 20] == []
    assert len(asked.answers()) == len(asked.positions)
    assert first.child.alive()


def test_a_server_tells_how_far_it_has_come(first, door, asked, versions):
    """
    Behind the tests above it has answered predictions and rejections, and soon nothing waits.
    """

    def told(name, **labels):
        marks = ",".join(f'{key}="{value}"' for key, value in sorted(labels.items()))
        return scraped(door).get(f"{name}{{{marks}}}" if marks else name, 0)

    asked.send("fine", request("50"))
    asked.send("bad", b"{broken", partition=1)
    asked.wait()

    def complete():
        lags = [told("baton_server_lag_requests", partition=one) for one in PARTITIONS]
        answered = [told("baton_server_answered_total", partition=one) > 0 for one in PARTITIONS]
        kinds = [told("baton_server_answers_seen_total", kind=one) > 0 for one in ("prediction", "rejection")]
        return lags == [0, 0] and all(answered + kinds)

    serving = {"state": "serving", "release": "1", "model": NAMES.model, "version": versions["double"]}
    wait_until(complete, ANSWER_S, lambda: str(scraped(door)))
    assert told("baton_server_info", **serving) == 1
    assert told("baton_server_progress_age_seconds") < ANSWER_S


def test_a_request_sent_while_nobody_served_is_answered_by_the_next_server(first, serve, door, asked, versions):
    """
    Make before break under traffic, kill -9 in the middle, requests meanwhile: all answered, in order, by both.
    """
    second = serve(2, "triple")
    with traffic(asked, rate=40):
        while not second.ready.exists() and second.child.alive():  # anybody may send a request with a probe's key
            for partition in PARTITIONS:
                asked.send(f"{PROBE_PREFIX}2-{partition}", request("75"), partition)
            pause(0.5)
        second.wait_ready()
        pause(1)
        first.child.kill()
        pause(1)
        second.child.kill()
        pause(1)
    third = serve(3, "triple")
    third.wait_ready()

    found = asked.wait()
    wait_until(lambda: 'release="3"' in str(scraped(door)), ANSWER_S, third.describe)
    third.child.kill()

    assert set() == asked.answered_again(next(one.process for one in found.values() if one.release == 3))

    double, triple = versions["double"], versions["triple"]
    assert {(one.release, one.model_version) for one in found.values()} == {(1, double), (2, triple), (3, triple)}
    assert [one for one in found.values() if one.rejection] == []
    for partition in PARTITIONS:
        firsts = [one.in_offset for one in first_answers(asked.answers()) if one.in_partition == partition]
        assert firsts == sorted(firsts)


@pytest.mark.long  # the fault table has it on a whole stack
def test_a_server_whose_jvm_is_frozen_ends_and_the_next_one_answers(serve, asked):
    """
    A process that lives and does not answer is worse than none: it notices by itself, and nothing is lost.
    """
    frozen = serve(6, "triple")
    frozen.wait_ready()
    pause(BEGIN_S)  # a stream may be silent for as long when it begins
    asked.send("before", request("50"))
    asked.wait()

    for member in frozen.child.members():
        if member.name() == "java":
            member.suspend()
    asked.send("while frozen", request("50"))

    assert frozen.wait_end() == FAILED
    assert "is unanswered for 5 s" in frozen.log.read_text()
    wait_until(lambda: not frozen.child.members(), 5, lambda: f"{frozen.child.members()} still run")
    successor = serve(7, "triple")
    successor.wait_ready()
    assert {answer.release for answer in asked.wait().values()} == {6, 7}
    successor.child.kill()


def test_sigterm_ends_the_server_and_its_jvm_at_once(serve, asked):
    """
    A server that is told to leave leaves, with exit code 0 and no process behind it.
    """
    server = serve(4, "triple")
    server.wait_ready()
    started = server.child.members()

    server.child.send(signal.SIGTERM)

    def left():
        return not server.child.members() and server.child.exit_code is not None

    wait_until(left, 2, lambda: f"{server.child.members()} of {started} still run")
    assert server.child.exit_code == 0
    assert len(started) > 1


def test_the_classic_trigger_answers_too(serve, asked):
    """
    With micro-batches the server proves itself and answers the same way, from the first unanswered request on.
    """
    for partition in PARTITIONS:
        asked.answer_as_another(partition, request("50"))
    server = serve(5, "double", BATON_TRIGGER="micro-batch")
    server.wait_ready()
    for number in range(50):
        asked.send(f"m-{number}", request(str(number + 1)), partition=number % 2)

    found = asked.wait()

    server.child.kill()

    assert {answer.release for answer in found.values()} == {5}
    assert set() == asked.answered_again(found["m-0"].process)


def test_a_release_of_an_earlier_baton_waits_for_a_version_of_this_one(serve):
    """
    It names no model, and a version of that number is none of this stack's: what it had bore other names.
    """
    server = serve(9, "double", BATON_MODEL_VERSION="99")

    assert "waiting" == server.wait_ready()["state"]
    assert "an earlier Baton asked for this release" in server.log.read_text()
    server.child.kill()


def test_a_server_is_started_again_without_mlflow(serve, asked, hdfs, mlflow, versions):
    """
    A server that served has left its files in HDFS, so the next one of its release needs Kafka and HDFS alone.
    """
    (double,) = (one for one in registry.versions(mlflow, NAMES.model) if one.version == str(versions["double"]))
    told = {**double.target.variables(), "BATON_HDFS": hdfs}
    before = serve(8, "double", **told)
    before.wait_ready()
    wait_until(lambda: "the version's files are kept" in before.log.read_text(), ANSWER_S, before.describe)
    before.child.kill()
    asked.send("while nobody served", request("50"))

    after = serve(8, "double", **told, BATON_MLFLOW=f"http://{NOBODY}")
    after.wait_ready()

    assert {(8, double.version)} == {(one.release, one.model_version) for one in asked.wait().values()}
    after.child.kill()


def test_what_was_served_is_what_the_versions_predict(kafka, mlflow, versions, tmp_path):
    """
    A batch job over the whole topic predicts, for each answer given so far, what was answered; a second opinion agrees.
    """
    out = tmp_path / "expected.jsonl"
    told = {"BATON_KAFKA": kafka, "BATON_MLFLOW": mlflow, "BATON_OUT": str(out)}
    wanted = {"BATON_VERSIONS": f"{versions['double']},{versions['triple']}"}
    job = StartedServer(tmp_path, {**told, **wanted}, "apps.prediction_server.rescore")
    try:
        assert job.wait_end() == DONE, job.describe()
    finally:
        job.child.kill()
    expected, second = (
        {
            (one.manifest, one.model_version, one.in_partition, one.in_offset): (one.prediction, one.rejection)
            for one in read_expected(out)
            if one.second_opinion is is_second
        }
        for is_second in (False, True)
    )
    by_servers = [one for one in all_answers(kafka) if one.model_version != NOBODYS]
    answers = {one: (one.manifest, one.model_version, *one.position) for one in by_servers}

    assert len(answers) > 100
    assert [one for one, place in answers.items() if expected[place] != (one.prediction, one.rejection)] == []
    compared = {one: second[place] for one, place in answers.items() if place in second}
    assert {versions["double"], versions["triple"]} == {one.model_version for one in compared}
    assert [one for one, said in compared.items() if said != (one.prediction, one.rejection)] == []


@pytest.fixture
def lossy_broker(tmp_path_factory):
    """A broker of one test's own, with the topics."""
    with with_topics(Broker(tmp_path_factory.mktemp("lossy"))) as broker:
        yield broker


def cut(broker, topic, partition, keep):
    """Take from a log what stands behind its first ``keep`` records, as a power cut would; the broker must be down."""
    (log,) = (broker.spec.folder / "data" / f"{topic}-{partition}").glob("*.log")
    data, place = log.read_bytes(), 0
    while place < len(data):
        first, size, last = (*struct.unpack_from(">qi", data, place), struct.unpack_from(">i", data, place + 23)[0])
        if first + last + 1 > keep:
            break
        place += 12 + size
    log.write_bytes(data[:place])
    for index in log.parent.glob("*index"):
        index.unlink()


@pytest.mark.parametrize(
    ("topic", "runs"),
    [
        pytest.param(NAMES.requests, False, id="the server is down too"),
        pytest.param(NAMES.requests, True, id="the server runs on", marks=pytest.mark.long),
        pytest.param(NAMES.answers, True, id="the answers are lost while the server runs on"),
    ],
)
def test_what_stands_in_a_log_that_lost_its_end_is_answered(lossy_broker, serve, topic, runs):
    """
    The broker's machine loses power: of 30 answered requests 12 are left, or 12 of their answers, and what is asked
    then stands at the offsets of the lost ones. Each that stands gets its own answer, and a server that runs on ends:
    its stream stands behind some of them.
    """
    address = lossy_broker.address
    told = {"BATON_KAFKA": address}
    server = serve(1, "double", **told)
    server.wait_ready()
    with KafkaProducer(bootstrap_servers=address) as client:
        before = Asked(address, client)
        for number in range(30):
            before.send(f"before-{number}", request("50"))
        before.wait()
    if runs:
        pause(3 * BEAT_S)  # the watch has seen the answers
    else:
        server.child.kill()
    lossy_broker.kill()
    cut(lossy_broker, topic, 0, keep=12)
    lossy_broker.start()
    lossy_broker.wait()

    with KafkaProducer(bootstrap_servers=address) as client:
        after = Asked(address, client)
        for number in range(40):
            after.send(f"after-{number}", request("60"))
        lost = topic == NAMES.requests
        assert not lost or (0, 12) == after.positions["after-0"]
        if runs:
            server.wait_end()
        serve(2, "double", **told).wait_ready()

        def unanswered():
            standing = {*after.positions, *([] if lost else before.positions)}
            return standing - {answer.request_id for answer in all_answers(address)}

        wait_until(lambda: not unanswered(), ANSWER_S, lambda: str(unanswered()))


@pytest.fixture(scope="module")
def secure_broker(tmp_path_factory):
    """A broker that wants TLS and a password, with the topics."""
    with with_topics(SecureBroker(tmp_path_factory.mktemp("secure"))) as broker:
        broker.add_user()
        yield broker


def test_every_client_shows_the_broker_what_it_wants_to_see(secure_broker, serve, tmp_path):
    """
    Over TLS and with a password: topics are checked, requests sent, answered, and the answers read.
    """
    make(secure_broker.access, topic_settings("baton", secure_broker.context.stack.delivery))
    serve(1, "double", **secure_broker.settings).wait_ready()
    told = {**inherited(), **secure_broker.settings, "BATON_DATASET": NAME}
    reader, journal = AnswerReader(told), tmp_path / "journal.jsonl"
    bodies = [Request(request("50"))]
    replay = Replay(secure_broker.access, NAMES, "secured", bodies, SendWriter(journal), 100.0, 2.0, 0.0)
    reader.start()
    try:
        replay.go()
        reader.wait_for({f"secured-{number}" for number in range(200)}, ANSWER_S)
    finally:
        reader.stop()

    assert 200 == replay.journal.acknowledged


def test_a_broker_that_wants_a_password_is_not_told_another(secure_broker, tmp_path):
    """
    With a wrong password, or without TLS, nothing gets through: what the test before showed was not an open door.
    """
    wrong = tmp_path / "wrong"
    wrong.write_text("guessed")
    for access in (replace(secure_broker.access, password_file=wrong), KafkaAccess(secure_broker.secure)):
        with pytest.raises(Unavailable):
            make(access, topic_settings("baton", secure_broker.context.stack.delivery))
