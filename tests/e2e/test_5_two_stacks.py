"""Two stacks with the same dataset on one Kafka, one HDFS and one MLflow: each answers its own, by its own model."""

import sys
from contextlib import ExitStack

import pytest

from apps.common import topics
from apps.common.settings import kafka_access
from apps.common.waiting import wait_until
from apps.orchestrator.embedded import EmbeddedOrchestrator
from loadtest.ledger import problems
from loadtest.traffic import LiveLedger
from stack import services
from stack.cli.pipeline import Pipeline
from stack.embedded.process import Child
from stack.embedded.services.kafka import topic_settings
from stack.environment import ROOT
from stack.local_apps import LocalApps
from stack.runtime import RunningStack

SECOND = "second"
RATE = 100
SECONDS = 100
READY_S = 240


@pytest.fixture(scope="module")
def second(pipeline, tmp_path_factory):
    """A stack of another name on the platform of the first: its apps run by hand, its server has its version 1."""
    folder = tmp_path_factory.mktemp(SECOND)
    told = {**pipeline.environment, "BATON_STACK": SECOND, "BATON_STATE": str(folder)}
    topics.wait_until_made(kafka_access(told), topic_settings(SECOND, services.load().delivery))
    apps = LocalApps(told, folder / "logs")
    other = Pipeline(RunningStack(told, EmbeddedOrchestrator(folder), apps))
    batch = other.drop_batch()
    apps.run("trainer", {"BATON_BATCH": batch.name, "BATON_SCRATCH": str(folder / "training")})
    ready = folder / "ready.json"
    release = {"BATON_MODEL_VERSION": other.champion().version, "BATON_RELEASE": "1"}
    own = {"BATON_READY_FILE": str(ready), "BATON_SCRATCH": str(folder / "server"), **release}
    log = folder / "server.log"
    server = Child.start([sys.executable, "-m", "apps.prediction_server"], {**told, **own}, log, ROOT)
    try:
        wait_until(ready.exists, READY_S, lambda: log.read_text()[-3000:])
        yield other
    finally:
        server.kill()


@pytest.mark.faults
def test_two_stacks_answer_each_its_own(pipeline, first_version, second, tmp_path):
    """
    Under traffic on both no answer stands in the other's topic, and each is by the model that its stack trained.
    """
    pipelines = {"first": pipeline, SECOND: second}
    ledgers = {name: LiveLedger(one.environment, tmp_path / name) for name, one in pipelines.items()}
    with ExitStack() as traffic:
        for ledger in ledgers.values():
            traffic.enter_context(ledger.traffic(RATE, SECONDS))
        for ledger in ledgers.values():
            ledger.watch(lambda _: None)

    for name, ledger in ledgers.items():
        one = pipelines[name]
        own = {send.request_id for send in ledger.sends()}
        verdict = ledger.verdict(one.expected(sorted(ledger.versions_seen())))
        assert [] == problems(verdict, must_compare=True)
        assert verdict.acked >= RATE * SECONDS
        assert own == {answer.request_id for answer in ledger.answers()}
        assert {one.names.model} == {answer.model for answer in ledger.answers()}


@pytest.mark.faults
def test_two_stacks_train_each_on_its_own_batches(pipeline, first_version, second):
    """
    The first has no batch of the second, nor a version of it, though both know the same dataset.
    """
    theirs = set(second.store.names("used"))

    assert second.dataset == pipeline.dataset
    assert [version.tags["batch"] for version in second.versions()] == sorted(theirs)
    assert not {version.run_id for version in second.versions()} & {version.run_id for version in pipeline.versions()}
    assert second.store.folder("used") != pipeline.store.folder("used")
