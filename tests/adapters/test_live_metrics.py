"""Live metrics as a process, with a real broker, HDFS and MLflow: every figure is the one computed from the topics."""

import json
import math
import random
import signal
from collections import Counter, defaultdict
from typing import Any

import numpy as np
import pytest
import structlog
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from mlflow import MlflowClient

from apps.common.hdfs import Hdfs
from apps.common.kafka_access import KafkaAccess
from apps.common.messages import CACHED, IN_OFFSET, IN_PARTITION, IN_TIMESTAMP, CachedAnswer, Writer
from apps.common.names import StackNames
from apps.common.registry import metrics
from apps.common.topics import wait_until_made
from apps.common.waiting import wait_until
from apps.live_metrics.kept import Kept
from apps.live_metrics.windows import Sums, Windows
from stack import services
from stack.embedded.services.kafka import topic_settings
from tests.adapters.conftest import free_port
from tests.adapters.started_server import live_metrics, scraped

NAMES = StackNames("live", "boston_housing")
PARTITIONS = 2
LOW, HIGH = 1, 50  # of Boston's target
FIGURES_S = 120
SUMMED = ("answers", "rejections", "labelled", "error", "square", "absolute", "relative")
UNKNOWN = {
    "no-json": b"{broken",
    "no-number": b'{"request_id": "1-0", "outcome": "cheap"}',
    "infinite": b'{"request_id": "1-0", "outcome": 1e999}',
    "beyond-belief": b'{"request_id": "1-0", "outcome": 1e200}',
    "nobody": b'{"request_id": "never-asked", "outcome": 1}',
    "nothing": None,
}


def records(kafka, topic):
    """All records of a topic, partition by partition."""
    consumer = KafkaConsumer(bootstrap_servers=kafka, group_id=None, enable_auto_commit=False)
    places = [TopicPartition(topic, number) for number in consumer.partitions_for_topic(topic) or ()]
    if not places:
        consumer.close()
        return []
    consumer.assign(places)
    consumer.seek_to_beginning(*places)
    ends, found = consumer.end_offsets(places), []
    while any(consumer.position(place) < ends[place] for place in places if ends[place]):
        for some in consumer.poll(timeout_ms=200).values():
            found += some
    consumer.close()
    return found


class Traffic:
    """Answers and outcomes as servers and people would write them, in disorder, more than once, and wrong."""

    def __init__(self, kafka):
        self.kafka = kafka
        self.draw = random.Random(5)
        self.producer = KafkaProducer(bootstrap_servers=kafka, acks="all")
        self.offsets = [0] * PARTITIONS
        self.writers = [Writer(NAMES.model, version, int(version)) for version in ("1", "2")]

    def answer(self, writer, partition, offset, body, model=None):
        """One answer to the request at that place, which has the key ``partition-offset``."""
        place = {IN_PARTITION: partition, IN_OFFSET: offset, IN_TIMESTAMP: 1_700_000_000_000 + offset}
        headers = writer.headers() | {name: str(value) for name, value in place.items()}
        headers |= {"model": model} if model else {}
        coded = [(name, text.encode()) for name, text in headers.items()]
        key, value = f"{partition}-{offset}".encode(), json.dumps(body).encode()
        self.producer.send(NAMES.answers, value, key=key, partition=partition, headers=coded)

    def cached(self, writer, key, prediction):
        """An answer out of a gateway's cache, which stands at no request's position."""
        one = CachedAnswer(key, b"what", writer.model, writer.version, "", writer.release, prediction)
        coded = [(name, text.encode()) for name, text in one.headers().items()]
        self.producer.send(NAMES.answers, one.value(), key=key.encode(), partition=0, headers=coded)

    def outcome(self, key, value):
        """One outcome."""
        self.producer.send(NAMES.outcomes, value, key=key.encode())

    def send(self, count):
        """So many answers, nine of ten with an outcome, some of them before."""
        for _ in range(count):
            partition = self.draw.randrange(PARTITIONS)
            offset, writer = self.offsets[partition], self.draw.choice(self.writers)
            self.offsets[partition] += 1
            key, price = f"{partition}-{offset}", self.draw.uniform(5, 50)
            spelling = self.draw.choice(["outcome", "actual", "y_true"])
            told = json.dumps({"request_id": key, spelling: price}).encode()
            early = self.draw.random() < 0.1
            if early:
                self.outcome(key, told)
            if self.draw.random() < 0.05:
                self.answer(writer, partition, offset, {"prediction": None, "rejection": "area must be given"})
            else:
                self.answer(writer, partition, offset, {"prediction": price + self.draw.gauss(0, 3), "rejection": None})
            if self.draw.random() < 0.1:  # the server that was to be replaced answers, too
                self.answer(self.draw.choice(self.writers), partition, offset, {"prediction": 1e6, "rejection": None})
            if not early and self.draw.random() < 0.9:
                self.outcome(key, told)
            if self.draw.random() < 0.05:
                self.outcome(key, json.dumps({"request_id": key, "outcome": 7}).encode())
            if self.draw.random() < 0.1:
                for _ in range(2):  # two gateways at once
                    self.cached(writer, f"cached-{key}", price + 1)
                self.outcome(f"cached-{key}", json.dumps({"request_id": f"cached-{key}", "outcome": price}).encode())
        self.producer.send(NAMES.answers, b'{"prediction": 1}', key=b"0-0", partition=0)
        self.answer(self.writers[0], 0, 10**9, {"prediction": 1.0, "rejection": None}, model="another")
        for key, value in UNKNOWN.items():
            self.outcome(key, value)
        self.producer.flush()

    def expected(self):
        """Version -> its sums, out of what is in the topics, by Python alone."""
        first, outcomes = {}, {}
        sums: dict[str, Any] = defaultdict(lambda: {**dict.fromkeys(SUMMED, 0.0), "errors": []})
        for one in records(self.kafka, NAMES.answers):
            headers = dict(one.headers)
            if headers.get("model") == NAMES.model.encode():
                place = one.key if CACHED in headers else (headers[IN_PARTITION], headers[IN_OFFSET])
                first.setdefault(place, (one, headers))
        for one in records(self.kafka, NAMES.outcomes):
            try:
                told = json.loads(one.value)
                value = float(next(told[name] for name in ("outcome", "actual", "y_true") if name in told))
            except (ValueError, TypeError):
                continue
            if LOW <= value <= HIGH:
                outcomes.setdefault(told["request_id"], value)
        for one, headers in first.values():
            total, prediction = sums[headers["model_version"].decode()], json.loads(one.value)["prediction"]
            total["answers"] += 1
            total["rejections"] += prediction is None
            key = one.key.decode()
            if prediction is not None and key in outcomes:
                error = prediction - outcomes[key]
                total["labelled"] += 1
                total["error"] += error
                total["square"] += error**2
                total["absolute"] += abs(error)
                total["errors"].append(abs(error))
                total["relative"] += abs(error) / outcomes[key]
        return sums


@pytest.fixture(scope="module")
def traffic(kafka):
    """The topics, and who writes into them."""
    settings = topic_settings(NAMES.stack, services.load().delivery, partitions=PARTITIONS)
    wait_until_made(KafkaAccess(kafka), settings.model_copy(update={"kafka": kafka, "dataset": NAMES.dataset}))
    return Traffic(kafka)


@pytest.fixture(scope="module")
def run(mlflow):
    """The run of version 1; there is no version 2."""
    client = MlflowClient(mlflow)
    experiment = client.create_experiment(NAMES.model)
    client.create_registered_model(NAMES.model)
    run = client.create_run(experiment).info
    client.create_model_version(NAMES.model, run.artifact_uri, run.run_id)
    client.set_terminated(run.run_id)
    return run.run_id


@pytest.fixture
def door():
    """The port at which live metrics tell their figures."""
    return free_port()


@pytest.fixture
def start(kafka, hdfs, mlflow, door, tmp_path_factory):
    """Start live metrics; whatever was started is ended."""
    more = {"BATON_WINDOW_S": "20", "BATON_METRICS_PORT": str(door)}
    with live_metrics(kafka, hdfs, mlflow, NAMES, tmp_path_factory, **more) as start:
        yield start


def figures(kafka):
    """The newest record of each version and window."""
    return {one.key: json.loads(one.value) for one in records(kafka, NAMES.live_metrics)}


def total(kafka, name):
    """The sum over all windows."""
    return sum(one[name] for one in figures(kafka).values())


@pytest.mark.parametrize("count", [600, pytest.param(70_000, marks=pytest.mark.long)])
def test_every_figure_is_the_one_computed_from_the_topics_whatever_was_killed_meanwhile(
    kafka, mlflow, run, traffic, door, start, count
):
    """Repeats, corrections, outcomes that come early, of nobody, or are none; kill -9 of process and JVM, twice."""
    traffic.send(count)
    for _ in range(2):
        live, before = start(), total(kafka, "answers")
        traffic.send(count)
        live.wait_until(lambda before=before: total(kafka, "answers") > before)
        traffic.send(100)
        for process in live.child.members():
            process.send_signal(signal.SIGKILL)
    live = start()

    wanted = traffic.expected()
    answers = sum(sums["answers"] for sums in wanted.values())
    labelled = sum(sums["labelled"] for sums in wanted.values())

    def complete():
        return (answers, labelled) == (total(kafka, "answers"), total(kafka, "labelled"))

    wait_until(complete, FIGURES_S, lambda: f"{answers} {labelled} {figures(kafka)} {live.describe()}")
    by_version = defaultdict(list)
    for one in figures(kafka).values():
        by_version[one["version"]].append(one)
    assert by_version.keys() == wanted.keys() == {"1", "2"}
    for version, sums in wanted.items():
        windows = [one for one in by_version[version] if one["labelled"]]
        assert len(windows) > 1
        assert sum(one["rejections"] for one in by_version[version]) == sums["rejections"] > 0
        for name, summed in (("bias", "error"), ("mae", "absolute"), ("mape", "relative")):
            found = math.fsum(one[name] * one["labelled"] for one in windows)
            assert found == pytest.approx(sums[summed], rel=1e-9)
        squares = math.fsum(one["rmse"] ** 2 * one["labelled"] for one in windows)
        assert squares == pytest.approx(sums["square"], rel=1e-9)
        assert all(one["rmse_low"] < one["rmse"] < one["rmse_high"] for one in windows if one["labelled"] > 1)
    wait_until(lambda: "live_rmse" in metrics(mlflow, run), FIGURES_S, live.describe)
    sums = wanted["1"]
    expected = math.sqrt(sums["square"] / sums["labelled"])
    wait_until(lambda: metrics(mlflow, run)["live_rmse"] == pytest.approx(expected), FIGURES_S, live.describe)
    assert metrics(mlflow, run)["live_coverage"] == pytest.approx(
        sums["labelled"] / (sums["answers"] - sums["rejections"])
    )
    for percent in (50, 99):
        exact = np.quantile(sums["errors"], percent / 100)
        assert metrics(mlflow, run)[f"live_absolute_error_p{percent}"] == pytest.approx(exact, rel=0.06)
    told = scraped(door)
    assert told['baton_live_figure{figure="rmse",version="1"}'] == pytest.approx(expected)
    assert told['baton_live_outcomes_total{readable="no"}'] > 0
    assert told["baton_live_rows_total"] > 0


def test_what_was_added_up_by_other_windows_or_of_other_topics_is_begun_anew(hdfs):
    """A window that became longer would be given its neighbours' sums; a topic made anew has none of the old rows."""
    kept, log = (
        Kept(Hdfs(hdfs), StackNames("begun-anew", "boston_housing"), "live-metrics", Windows),
        structlog.testing.CapturingLogger(),
    )
    windows = kept.open(["a", "o"], 60, log)
    row = {"version": "1", "window": 60, "outcomes": 0, "unreadable": 0}
    windows.add(3, [{**vars(Sums(answers=5, labelled=2, buckets=Counter({7: 2}))), **row}])
    kept.keep(windows)

    assert windows == kept.open(["a", "o"], 60, log)
    assert Windows(["a", "o"], 3600) == kept.open(["a", "o"], 3600, log)
    assert Windows(["b", "o"], 3600) == kept.open(["b", "o"], 3600, log)
    assert 2 == len(log.calls)
