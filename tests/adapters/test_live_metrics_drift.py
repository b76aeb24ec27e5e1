"""Drift as live metrics tell it, with a real broker, HDFS and MLflow, and a baseline that the trainer's code made."""

import json
import signal
import time

import pytest
from kafka import KafkaProducer
from mlflow import MlflowClient

from apps import datasets
from apps.common.drift import LARGE, Baseline
from apps.common.hdfs import Hdfs
from apps.common.kafka_access import KafkaAccess
from apps.common.messages import IN_OFFSET, IN_PARTITION, IN_TIMESTAMP, Writer
from apps.common.model_files import PREDICTIONS_BASELINE, REQUESTS_BASELINE
from apps.common.names import StackNames
from apps.common.registry import metrics
from apps.common.topics import wait_until_made
from apps.common.waiting import wait_until
from apps.trainer import drift, session
from apps.trainer.settings import TrainerSettings
from stack import services
from stack.embedded.services.kafka import topic_settings
from tests.adapters.started_server import live_metrics
from tests.adapters.test_live_metrics import records

NAMES = StackNames("drifting", "boston_housing")
BOSTON = datasets.get("boston_housing")
TOLD_S = 180
ROWS = list(BOSTON.load())
MOVED = {"rm": "8.7", "lstat": "2.5"}  # large flats among people of means


@pytest.fixture(scope="module")
def run(mlflow, tmp_path_factory):
    """The run of version 1, with baselines of all rows."""
    scratch = tmp_path_factory.mktemp("spark")
    spark = session.start(TrainerSettings(batch="boston_housing-0001", spark_master="local[2]", scratch=scratch))
    raw = spark.createDataFrame([tuple(row.values()) for row in ROWS], list(ROWS[0]))
    requests = drift.baseline(BOSTON, raw)
    spark.stop()
    client = MlflowClient(mlflow)
    client.create_registered_model(NAMES.model)
    run = client.create_run(client.create_experiment(NAMES.model)).info
    client.log_dict(run.run_id, requests, REQUESTS_BASELINE)
    predictions = Baseline.of_numbers([float(row["medv"]) for row in ROWS])
    client.log_dict(run.run_id, predictions.to_dict(), PREDICTIONS_BASELINE)
    client.create_model_version(NAMES.model, run.artifact_uri, run.run_id)
    return run.run_id


@pytest.fixture(scope="module")
def send(kafka):
    """Send all rows as requests with answers, changed so; a request that is none of ours and a rejected one beside."""
    settings = topic_settings(NAMES.stack, services.load().delivery, partitions=1)
    wait_until_made(KafkaAccess(kafka), settings.model_copy(update={"kafka": kafka, "dataset": NAMES.dataset}))
    producer, writer = KafkaProducer(bootstrap_servers=kafka, acks="all"), Writer(NAMES.model, "1", 1)

    def send(factor=1.0, **moved):
        for place, row in enumerate(ROWS):
            key = f"{time.time_ns()}".encode()
            fields = {name: cell for name, cell in row.items() if name != "medv"} | moved
            producer.send(NAMES.requests, json.dumps(fields).encode(), key=key)
            headers = writer.headers() | {IN_PARTITION: "0", IN_OFFSET: str(place), IN_TIMESTAMP: "1"}
            coded = [(name, str(text).encode()) for name, text in headers.items()]
            body = {"prediction": factor * float(row["medv"]), "rejection": None}
            producer.send(NAMES.answers, json.dumps(body).encode(), key=key, headers=coded)
        for value in (b"{broken", b'{"rm": "far too large"}', b'{"rm": "1e9", "lstat": "4"}'):
            producer.send(NAMES.requests, value, key=str(time.time_ns()).encode())
        producer.flush()

    return send


@pytest.fixture
def start(kafka, hdfs, mlflow, tmp_path_factory):
    """Start live metrics, and wait until they read; whatever was started is ended."""
    more = {"BATON_DRIFT_SAMPLE": "1", "BATON_DRIFT_WINDOW_S": "86400"}
    begun = f"{NAMES.hdfs_root}/drift/checkpoint/sources/0/0"  # from where on it reads
    with live_metrics(kafka, hdfs, mlflow, NAMES, tmp_path_factory, **more) as begin:

        def start():
            one = begin()
            one.wait_ready()
            wait_until(lambda: Hdfs(hdfs).exists(begun), TOLD_S, one.describe)
            return one

        yield start


def told(kafka):
    """The newest record of drift; of one that midnight came between, the newest alone."""
    found = {one.key: json.loads(one.value) for one in records(kafka, NAMES.live_metrics) if one.key[:5] == b"drift"}
    return found[max(found)] if found else {"rows": 0, "features": {}, "large": []}


def test_what_is_asked_and_answered_is_held_against_what_the_version_learned_from(kafka, mlflow, run, send, start):
    """As usual nothing is large; what moves is told of by its name; kill -9 between, and nothing is counted twice."""
    live = start()
    send()
    wait_until(lambda: len(ROWS) == told(kafka)["rows"], TOLD_S, lambda: f"{told(kafka)} {live.describe()}")
    wait_until(lambda: {"rm", "prediction"} <= told(kafka)["features"].keys(), TOLD_S, live.describe)
    assert [] == told(kafka)["large"]
    assert max(one["baseline"] for one in told(kafka)["features"].values()) < 0.01

    for process in live.child.members():
        process.send_signal(signal.SIGKILL)
    live = start()
    send(factor=2.0, **MOVED)
    wait_until(lambda: 2 * len(ROWS) == told(kafka)["rows"], TOLD_S, lambda: f"{told(kafka)} {live.describe()}")
    wait_until(lambda: len(told(kafka)["large"]) > 1, TOLD_S, lambda: f"{told(kafka)}")

    assert {"rm", "lstat", "log_lstat", "prediction"} == set(told(kafka)["large"])
    assert "what is asked or answered is not what the version learned from" in live.log.read_text()
    wait_until(lambda: metrics(mlflow, run).get("live_drift_large") == 4, TOLD_S, live.describe)
    assert metrics(mlflow, run)["live_drift_largest"] > LARGE
