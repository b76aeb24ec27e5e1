"""A server and its standby as processes, with a real broker and a real MLflow, on topics of their own."""

import signal

import psutil
import pytest
from kafka import KafkaProducer

from apps.common import topics
from apps.common.kafka_access import KafkaAccess
from apps.common.names import StackNames
from apps.common.waiting import pause, wait_until
from apps.prediction_server import session
from apps.prediction_server.settings import RescoreSettings
from apps.prediction_server.standby_rules import FENCE_S
from stack import services
from stack.embedded.services.kafka import topic_settings
from stack.java import jars
from tests.adapters import small_model
from tests.adapters.small_model import NAME, request
from tests.adapters.started_server import READY_S, Asked, StartedServer

OWN = StackNames("stands-by", NAME)
SERVER, STANDBY = "apps.prediction_server", "apps.prediction_server.standby"


@pytest.fixture(scope="module")
def start(kafka, mlflow, tmp_path_factory):
    """Start a server of a release, or a standby, of a version on topics of their own; everything started is ended."""
    folder = tmp_path_factory.mktemp("models")
    told = RescoreSettings(versions="", out=folder, scratch=folder / "spark", spark_jars=jars("spark-kafka"), heap="1g")
    spark = session.start(told, "test")
    small_model.save(spark, folder / "double", 2.0)
    spark.stop()
    version = small_model.publish(mlflow, folder / "double", OWN)
    topics.wait_until_made(KafkaAccess(kafka), topic_settings(OWN.stack, services.load().delivery))
    common = {"BATON_KAFKA": kafka, "BATON_MLFLOW": mlflow, "BATON_STACK": OWN.stack}
    release = {"BATON_MODEL_VERSION": version}
    started = []

    def start(module, number=None):
        more = {**release, "BATON_RELEASE": str(number)} if number else {}
        started.append(StartedServer(tmp_path_factory.mktemp("server-"), {**common, **more}, module))
        return started[-1]

    yield start
    for server in started:
        server.child.kill()


@pytest.fixture(scope="module")
def producer(kafka):
    """A client that asks."""
    client = KafkaProducer(bootstrap_servers=kafka)
    yield client
    client.close()


@pytest.fixture
def ask(kafka, producer):
    """Ask ten questions, and wait for their answers."""

    def ask():
        asked = Asked(kafka, producer, OWN)
        for number in range(10):
            asked.send(f"r-{number}", request(str(50 + number)), partition=number % 2)
        return asked.wait()

    return ask


def says(server, text, times=1):
    """Wait until the log of a server has a line that often."""
    wait_until(lambda: server.log.read_text().count(text) >= times, READY_S, server.describe)


def jvm(server):
    """The JVM of a server."""
    return next(child for child in server.child.members() if "java" in child.name())


def test_a_standby_answers_while_the_server_does_not_and_makes_room_when_it_is_back(start, ask):
    """
    Frozen or killed, with nobody who tells the standby: nothing stays unanswered, no two answers differ, and the
    standby stands by again once a server answers, though it be of a newer release.
    """
    standby = start(STANDBY)
    server = start(SERVER, 1)
    server.wait_ready()
    ask()
    says(standby, "standing by")
    before = ask()

    frozen = jvm(server)
    frozen.send_signal(signal.SIGSTOP)
    during = ask()
    assert {one.release for one in during.values()} == {1}
    assert {one.process for one in during.values()}.isdisjoint(one.process for one in before.values())
    assert {key: one.prediction for key, one in during.items()} == {k: one.prediction for k, one in before.items()}
    server.child.kill()
    ask()

    start(SERVER, 2).wait_ready()
    while standby.log.read_text().count("] watching ") < 2:
        ask()
        pause(FENCE_S / 10)
    says(standby, "standing by", 2)
    assert {one.release for one in ask().values()} == {2}
    assert standby.child.alive()
    assert "the standby ends" not in standby.log.read_text()
    assert 2 == len(standby.child.members())  # itself and its JVM


def test_a_standby_whose_jvm_ended_ends(start):
    """
    Whoever keeps it running starts it anew; it would be of no use when it is needed.
    """
    standby = start(STANDBY)
    says(standby, "standing by")
    psutil.Process(jvm(standby).pid).kill()

    standby.wait_end()
    assert "Spark's JVM must run; it ended" in standby.log.read_text()
