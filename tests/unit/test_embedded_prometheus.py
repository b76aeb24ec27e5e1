"""Prometheus is asked to scrape what runs, and its rules and the dashboard name only figures that apps tell."""

import json
import re
import shutil
from dataclasses import replace

import pytest
import yaml

from apps.common.errors import SettingsError, Unavailable
from apps.common.exposition import FAMILIES
from stack import cache, services
from stack.cli.stack import Mode, Stack
from stack.embedded import doctor
from stack.embedded.services import prometheus
from stack.embedded.services.catalogue import specs
from stack.embedded.services.spec import StackContext
from stack.environment import ROOT

FOLDER = ROOT / "stack" / "prometheus"
RULES = [rule for group in yaml.safe_load(prometheus.RULES.read_text())["groups"] for rule in group["rules"]]
TESTS = yaml.safe_load((FOLDER / "alerts_test.yaml").read_text())["tests"]
TARGETS = [one for panel in json.loads((FOLDER / "dashboard.json").read_text())["panels"] for one in panel["targets"]]
OTHERS = {"process_resident_memory_bytes": (), "up": (), "ALERTS": ("alertname", "alertstate", "severity")}
EXPRESSIONS = [*(rule["expr"] for rule in RULES), *(one["expr"] for one in TARGETS)]
SELECTOR = re.compile(r"\b(baton_\w+|process_\w+|ALERTS|up)\b(?:\{(.*?)\})?")


@pytest.fixture
def nothing(tmp_path, monkeypatch):
    """A machine without Prometheus, apt and a cache."""
    monkeypatch.setattr(shutil, "which", lambda _: None)
    monkeypatch.setattr(cache, "place", lambda: tmp_path)
    return tmp_path


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_rules_and_dashboard_name_only_figures_that_there_are(expression):
    """
    Each name is a family's, or one of Prometheus' own, and so is each label by which it is selected.
    """
    known = {name: family.labels for name, family in FAMILIES.items()} | OTHERS
    found = SELECTOR.findall(expression)

    assert found
    for name, matchers in found:
        assert name in known
        assert set(re.findall(r'(\w+)=?[=~!]+"', matchers)) <= {*known[name], "job"}


def test_a_figure_that_nobody_tells_would_be_noticed():
    """
    The pattern by which the test above finds names and labels finds them.
    """
    text = 'rate(baton_old_total{kind="x", kid=~"y"}[1m]) > up'

    assert [("baton_old_total", 'kind="x", kid=~"y"'), ("up", "")] == SELECTOR.findall(text)


def test_each_rule_is_tested_to_fire_and_not_to():
    """
    A rule without both is no rule; promtool runs them.
    """
    asked = [one for test in TESTS for one in test["alert_rule_test"]]
    names = {rule["alert"] for rule in RULES}

    assert names == {one["alertname"] for one in asked if one.get("exp_alerts")}
    assert names == {one["alertname"] for one in asked if not one.get("exp_alerts")}


def test_each_service_that_runs_and_tells_figures_is_a_job_of_its_name():
    """
    A service that is switched off is no target that is down for ever; Prometheus itself is one.
    """
    stack = services.load()
    own = stack.service("prometheus")

    found = prometheus.configuration(stack.running(["prometheus"]), own)["scrape_configs"]

    assert {one["job_name"]: one["static_configs"][0]["targets"] for one in found} == {
        "prometheus": ["127.0.0.1:19090"],
        "new-data-watcher": ["127.0.0.1:19101"],
        "new-model-watcher": ["127.0.0.1:19102"],
        "prediction-server": ["127.0.0.1:19103"],
    }


def test_every_app_that_lives_is_told_its_port(tmp_path):
    """
    And only those: what a person runs by hand opens no door.
    """
    stack = services.load()
    context = StackContext(tmp_path, stack, {})

    told = specs(stack.services, context, {})

    for service in stack.services:
        if "metrics" in service.ports and service.name in told:
            assert str(service.ports["metrics"]) == told[service.name].environment["BATON_METRICS_PORT"]
    assert {"new-data-watcher", "new-model-watcher", "standby", "live-metrics", "gateway"} == {
        name for name, spec in told.items() if "BATON_METRICS_PORT" in spec.environment
    }


def test_the_newest_package_in_the_cache_is_taken_with_its_own_pages(nothing):
    """
    The one that is installed goes before; promtool is beside either.
    """
    for name in ("1", "2"):
        folder = nothing / "prometheus" / name / "usr" / "bin"
        folder.mkdir(parents=True)
        (folder / "prometheus").touch()
    newest = nothing / "prometheus" / "2"

    command = prometheus.spec(StackContext(nothing / "state", services.load(), {}), ()).command()

    assert f"{newest}/usr/bin/prometheus" == command[0]
    assert f"--web.local-assets={newest}/usr/share/prometheus/web" in command
    assert f"{newest}/usr/bin/promtool" == prometheus.program("promtool")


def test_the_one_that_is_installed_goes_before_the_cache(nothing, monkeypatch):
    """
    Its pages are its own.
    """
    monkeypatch.setattr(shutil, "which", lambda _: "/opt/p/prometheus")

    command = prometheus.spec(StackContext(nothing / "state", services.load(), {}), ()).command()

    assert ("/opt/p/prometheus", "/opt/p/promtool") == (command[0], prometheus.program("promtool"))
    assert not [one for one in command if "local-assets" in one]


@pytest.mark.parametrize(("settings", "said"), [({}, []), ({"BATON_PROMETHEUS": "on"}, ["none"])])
def test_doctor_misses_it_only_where_it_is_wanted(nothing, settings, said):
    """
    Who has not switched it on need not have it.
    """
    found = doctor.check(nothing / "state", settings=settings)

    assert said == [one.got for one in found if one.name.startswith("Prometheus") and not one.ok]


def test_without_apt_the_message_says_what_to_install(nothing):
    """
    As on macOS.
    """
    with pytest.raises(Unavailable, match=r"prometheus must be installed, .*; got .*; brew install prometheus"):
        prometheus._run(["apt-get-of-nobody", "download"], nothing)  # noqa: SLF001 - what fetch runs


def test_in_a_cluster_it_is_refused(monkeypatch, tmp_path):
    """
    The cluster has a Prometheus of its own, or none; the message says how that is let in.
    """
    monkeypatch.setattr("stack.cli.stack.ROOT", tmp_path)

    with pytest.raises(SettingsError, match=r"prometheus must be off in a cluster; got on; .* scrape\.from"):
        Stack(mode=Mode.CLUSTER).up(BATON_PROMETHEUS="on")


def test_a_port_moves_with_stack_yaml():
    """
    Neither the address nor a job has a port of its own.
    """
    own = replace(services.load().service("prometheus"), ports={"http": 1})

    assert ["127.0.0.1:1"] == prometheus.configuration((), own)["scrape_configs"][0]["static_configs"][0]["targets"]
