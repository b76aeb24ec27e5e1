"""The real Prometheus: it takes its configuration and rules for good, and scrapes the real apps of a stack."""

import json
import subprocess
from contextlib import ExitStack

import pytest
import requests
import yaml

from apps.common.exposition import FAMILIES
from apps.common.kafka_access import KafkaAccess
from apps.common.topics import wait_until_made
from apps.common.waiting import wait_until
from stack import services
from stack.embedded.process import Child
from stack.embedded.services import prometheus
from stack.embedded.services.catalogue import specs
from stack.embedded.services.kafka import topic_settings
from stack.embedded.supervisor.server import Launch
from stack.environment import HOST
from stack.java import jars
from tests.adapters.conftest import free_context, running

STACK = "scraped"
SERVER = "prediction-server"
UP_S = 120
ALWAYS = {"baton_server_info", "baton_live_rows_total", "baton_live_batch_seconds", "baton_live_outcomes_total"}
OF_WATCHERS = {name for name in FAMILIES if "watcher" in name}


@pytest.fixture(scope="module")
def promtool():
    """The program beside the server; where neither is installed the package is unpacked, as ``up`` does it."""
    prometheus.fetch()
    return prometheus.program("promtool")


def says(*command):
    """What a program says; it must end well."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_promtool_takes_rules_and_configuration_for_good_and_the_rules_pass_their_tests(promtool, tmp_path):
    """
    Each rule fires when it must and not before; the configuration is the one that Prometheus is started with.
    """
    context = free_context(tmp_path)
    prometheus.spec(context, context.stack.services).prepare()

    assert "SUCCESS" in says(promtool, "check", "config", str(tmp_path / "prometheus" / "prometheus.yaml"))
    assert "SUCCESS" in says(promtool, "test", "rules", str(prometheus.RULES.with_name("alerts_test.yaml")))


def test_every_question_of_the_dashboard_is_one(promtool, tmp_path):
    """
    Prometheus can read each of them.
    """
    panels = json.loads(prometheus.RULES.with_name("dashboard.json").read_text())["panels"]
    asked = [target["expr"] for panel in panels for target in panel["targets"]]
    rules = [{"record": f"asked:{number}", "expr": expression} for number, expression in enumerate(asked)]
    file = tmp_path / "dashboard.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))

    assert f"SUCCESS: {len(asked)} rules found" in says(promtool, "check", "rules", str(file))


@pytest.fixture(scope="module")
def scraping(kafka, hdfs, mlflow, promtool, tmp_path_factory):
    """The address of a Prometheus beside every app that lives, as the supervisor starts them; no version serves yet."""
    context = free_context(tmp_path_factory.mktemp("scraped"))
    told = {
        "BATON_KAFKA": kafka,
        "BATON_HDFS": hdfs,
        "BATON_MLFLOW": mlflow,
        "BATON_STACK": STACK,
        "BATON_DATASET": "used_cars",
        "BATON_STATE": str(context.state),
        "BATON_SPARK_JARS": str(jars("spark-kafka")),
        "BATON_TICK_S": "1",
    }
    wait_until_made(KafkaAccess(kafka), topic_settings(STACK, services.load().delivery, kafka=kafka))
    living = [one for one in context.stack.services if "metrics" in one.ports]
    of = specs([*living, context.service("prometheus")], context, told)
    own = of.pop("prometheus")
    with ExitStack() as ended:
        for name, spec in of.items():
            child = Child.start(spec.command(), context.marked(spec.environment), context.log(name), spec.folder)
            ended.callback(child.kill)
        server = Launch(context.service(SERVER), context, told).start(SERVER, 0, None)
        ended.callback(server.discard)
        ended.enter_context(running(context, {"prometheus": own}))
        yield context.service("prometheus").address_at(HOST)


def ask(address, path, **parameters):
    """Its answer."""
    return requests.get(f"{address}/api/v1/{path}", params=parameters, timeout=10).json()["data"]


def test_prometheus_scrapes_every_app_that_lives(scraping):
    """
    All targets are up; every figure has a family, those of the watchers are all there, and no alarm is raised.
    """

    def down():
        found = ask(scraping, "targets")["activeTargets"]
        return {one["labels"]["job"]: one["lastError"] or one["health"] for one in found if one["health"] != "up"}

    def names():
        return {name for name in ask(scraping, "label/__name__/values") if name.startswith("baton_")}

    wait_until(lambda: not down(), UP_S, lambda: f"targets are not up: {down()}")
    measured = {"baton_champion_metric"}  # there is no champion
    wait_until(lambda: names() >= (OF_WATCHERS - measured) | ALWAYS, UP_S, lambda: f"figures are missing: {names()}")

    jobs = {one["labels"]["job"] for one in ask(scraping, "targets")["activeTargets"]}
    states = {
        one["metric"]["job"]: one["metric"]["state"]
        for one in ask(scraping, "query", query="baton_server_info")["result"]
    }
    assert jobs == {"prometheus", *(one.name for one in services.load().services if "metrics" in one.ports)}
    assert names() <= FAMILIES.keys()
    assert states == {SERVER: "waiting", "standby": "waiting"}
    assert [] == [one["labels"]["alertname"] for one in ask(scraping, "alerts")["alerts"] if one["state"] == "firing"]
