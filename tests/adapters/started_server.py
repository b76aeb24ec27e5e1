"""Servers as processes, and questions to them through Kafka."""

import json
import sys
from contextlib import contextmanager
from pathlib import Path

import requests
from kafka import KafkaConsumer, TopicPartition

from apps.common.messages import IN_OFFSET, IN_PARTITION, IN_TIMESTAMP, Writer, decode_answer, first_answers
from apps.common.waiting import wait_until
from stack.embedded.process import Child
from stack.environment import HOST, inherited
from stack.java import jars
from tests.adapters.small_model import NAME, NAMES

ROOT = Path(__file__).parent.parent.parent
PARTITIONS = (0, 1)
READY_S = 180
ANSWER_S = 30
NOBODY = "127.0.0.1:9"
NOBODYS = "nobody's"  # the version of an answer that a test gave itself


class StartedServer:
    """A server process with a folder of its own."""

    def __init__(self, folder, told, module="apps.prediction_server"):
        self.folder = folder
        self.ready = folder / "ready.json"
        self.log = folder / "log"
        environment = {
            **inherited(),
            "BATON_DATASET": NAME,
            "BATON_HDFS": f"hdfs://{NOBODY}",  # which keeps no server from serving
            "BATON_READY_FILE": str(self.ready),
            "BATON_SCRATCH": str(folder / "scratch"),
            "BATON_SPARK_JARS": str(jars("spark-kafka")),
            **told,
        }
        self.child = Child.start([sys.executable, "-m", module], environment, self.log, ROOT)

    def wait_ready(self):
        """Wait until it says that it serves."""
        wait_until(lambda: self.ready.exists() or not self.child.alive(), READY_S, self.describe)
        assert self.ready.exists(), self.describe()
        return json.loads(self.ready.read_text())

    def wait_until(self, condition):
        """Wait for a condition, as long as it runs."""
        wait_until(lambda: condition() or not self.child.alive(), READY_S, self.describe)
        assert self.child.alive(), self.describe()

    def wait_end(self):
        """Wait until it has ended; its exit code."""
        wait_until(lambda: not self.child.alive(), READY_S, self.describe)
        return self.child.exit_code

    def describe(self):
        """The end of its log."""
        return f"the server says:\n{self.log.read_text()[-3000:]}"


@contextmanager
def live_metrics(kafka, hdfs, mlflow, names, folders, **more):
    """What starts live metrics, each in a folder of its own; all of them are ended behind the block."""
    told = {"BATON_KAFKA": kafka, "BATON_HDFS": hdfs, "BATON_MLFLOW": mlflow, "BATON_METRICS_PERIOD_S": "1"}
    told |= {"BATON_STACK": names.stack, "BATON_DATASET": names.dataset, **more}
    with killed_behind(lambda: StartedServer(folders.mktemp("live"), told, "apps.live_metrics")) as start:
        yield start


@contextmanager
def killed_behind(make):
    """``make``, and every server that it made is killed behind the block."""
    started = []

    def start(**told):
        started.append(make(**told))
        return started[-1]

    try:
        yield start
    finally:
        for one in started:
            one.child.kill()


def scraped(port):
    """What is told at a port: name and labels as they are written -> value; nothing while nobody answers."""
    try:
        lines = requests.get(f"http://{HOST}:{port}/metrics", timeout=ANSWER_S).text.splitlines()
    except requests.ConnectionError:
        return {}
    return {name: float(value) for name, _, value in (one.rpartition(" ") for one in lines if not one.startswith("#"))}


def all_answers(brokers, names=NAMES):
    """Every answer in the topic, in the order of each partition."""
    consumer = KafkaConsumer(bootstrap_servers=brokers, group_id=None, enable_auto_commit=False)
    tails = [TopicPartition(names.answers, partition) for partition in PARTITIONS]
    consumer.assign(tails)
    consumer.seek_to_beginning(*tails)
    ends, found = consumer.end_offsets(tails), []
    while any(consumer.position(tail) < ends[tail] for tail in tails):
        for records in consumer.poll(timeout_ms=200).values():
            found += [decode_answer(one.key, one.value, one.headers, one.timestamp) for one in records]
    consumer.close()
    return [answer for answer in found if answer]


class Asked:
    """Requests sent since it was made, and their answers."""

    def __init__(self, brokers, producer, names=NAMES):
        self.brokers = brokers
        self.names = names
        self.producer = producer
        self.positions = {}

    def send(self, key, value, partition=0):
        """Ask, and remember where the request stands."""
        sent = self.producer.send(self.names.requests, value, key=key.encode(), partition=partition)
        placed = sent.get(10)
        self.positions[key] = (placed.partition, placed.offset)

    def answers(self):
        """Every answer to these requests that is there now, repeats too."""
        mine = set(self.positions.values())
        return [answer for answer in all_answers(self.brokers, self.names) if answer.position in mine]

    def answer_as_another(self, partition, value):
        """Ask, and answer in another server's place."""
        stands = self.producer.send(self.names.requests, value, key=b"answered", partition=partition).get(10)
        place = {IN_PARTITION: partition, IN_OFFSET: stands.offset, IN_TIMESTAMP: stands.timestamp}
        headers = Writer(self.names.model, NOBODYS, 1).headers() | {name: str(said) for name, said in place.items()}
        coded = [(name, text.encode()) for name, text in headers.items()]
        self.producer.send(self.names.answers, b"{}", key=b"answered", partition=partition, headers=coded).get(10)

    def answered_again(self, process):
        """Where requests stand that ``process`` answered although another one had."""
        own, others = set(), set()
        for one in all_answers(self.brokers, self.names):
            (own if one.process == process else others).add(one.position)
        return own & others

    def wait(self):
        """The first answer to each request, by its key, once all are there."""

        def complete():
            found = {answer.position: answer for answer in first_answers(self.answers())}
            return found if len(found) == len(self.positions) else None

        def missing():
            return f"requests are unanswered: {set(self.positions.values()) - {a.position for a in self.answers()}}"

        found = wait_until(complete, ANSWER_S, missing)
        return {key: found[position] for key, position in self.positions.items()}
