"""Real services for the adapter tests: started on free ports from the stack's own recipes, ended afterwards."""

import socket
import sys
from contextlib import ExitStack, contextmanager
from dataclasses import replace

import pytest
import requests

from apps.common.waiting import wait_until
from stack import services
from stack.embedded import hdfs as hdfs_recipes
from stack.embedded import kafka as kafka_recipe
from stack.embedded.environment import HOST, inherited
from stack.embedded.process import Child
from stack.embedded.recipe import Site

READY_S = 60


def free_port():
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return probe.getsockname()[1]


def free_site(folder):
    """The stack of stack.yaml with its state in ``folder`` and every port a free one."""
    stack = services.load()
    moved = [replace(one, ports={name: free_port() for name in one.ports}) for one in stack.services]
    return Site(folder, replace(stack, services=tuple(moved)), inherited())


@contextmanager
def running(site, recipes):
    """The services of ``recipes`` (name -> recipe) while the block runs; it is given their processes by name."""
    with ExitStack() as ended:
        children = {}
        for name, recipe in recipes.items():
            recipe.prepare()
            environment = site.marked(recipe.environment)
            children[name] = Child.start(recipe.command(), environment, site.log(name), site.state)
            ended.callback(lambda name=name: children[name].kill())
        for name, recipe in recipes.items():
            wait_until(lambda recipe=recipe: is_ready(recipe), READY_S, f"{name} is not ready; see {site.log(name)}")
        yield children


def is_ready(recipe):
    """Whether the probe passes."""
    try:
        recipe.probe()
    except Exception:  # noqa: BLE001 - whatever it is, it is not ready
        return False
    return True


@pytest.fixture(scope="session")
def hdfs(tmp_path_factory):
    """The address of a NameNode with one DataNode."""
    site = free_site(tmp_path_factory.mktemp("hdfs"))
    recipes = {"namenode": hdfs_recipes.namenode(site), "datanode": hdfs_recipes.datanode(site)}
    with running(site, recipes):
        yield site.service("namenode").address_at(HOST)


@pytest.fixture(scope="session")
def kafka(tmp_path_factory):
    """The address of a broker that has the topics."""
    site = free_site(tmp_path_factory.mktemp("kafka"))
    with running(site, {"kafka": kafka_recipe.recipe(site)}):
        yield site.service("kafka").address_at(HOST)


@pytest.fixture(scope="session")
def mlflow(tmp_path_factory):
    """The address of an MLflow server on a database file of its own."""
    folder, port = tmp_path_factory.mktemp("mlflow"), free_port()
    address = f"http://{HOST}:{port}"
    store = ["--backend-store-uri", f"sqlite:///{folder}/mlflow.db", "--artifacts-destination", str(folder / "artifacts")]
    command = [sys.executable, "-m", "mlflow", "server", "--host", HOST, "--port", str(port), "--workers", "1", *store]
    environment = {**inherited(), "MLFLOW_DISABLE_TELEMETRY": "true"}
    child = Child.start(command, environment, folder / "log", folder)

    def answers():
        try:
            return requests.get(f"{address}/health", timeout=2).ok
        except requests.RequestException:
            return False

    try:
        wait_until(answers, 2 * READY_S, f"MLflow is not ready; see {folder / 'log'}")
        yield address
    finally:
        child.kill()
