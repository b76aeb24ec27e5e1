"""Real services for the adapter tests: started on free ports from the stack's own specs, ended afterwards."""

import socket
import sys
from contextlib import ExitStack, contextmanager
from dataclasses import replace

import pytest
import requests

from apps.common.waiting import wait_until
from stack import services
from stack.embedded.process import Child
from stack.embedded.services import hdfs as hdfs_specs
from stack.embedded.services import kafka as kafka_specs
from stack.embedded.services.spec import StackContext
from stack.environment import HOST, inherited

READY_S = 60


def free_port():
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return probe.getsockname()[1]


def free_context(folder):
    """The stack of stack.yaml with its state in ``folder`` and every port a free one."""
    stack = services.load()
    moved = [replace(one, ports={name: free_port() for name in one.ports}) for one in stack.services]
    return StackContext(folder, replace(stack, services=tuple(moved)), inherited())


@contextmanager
def running(context, specs):
    """The services of ``specs`` (name -> spec) while the block runs; it is given their processes by name."""
    with ExitStack() as ended:
        children = {}
        for name, spec in specs.items():
            spec.prepare()
            environment = context.marked(spec.environment)
            children[name] = Child.start(spec.command(), environment, context.log(name), context.state)
            ended.callback(lambda name=name: children[name].kill())
        for name, spec in specs.items():
            wait_until(lambda spec=spec: is_ready(spec), READY_S, f"{name} is not ready; see {context.log(name)}")
        yield children


def is_ready(spec):
    """Whether the probe passes."""
    try:
        spec.probe()
    except Exception:  # noqa: BLE001 - whatever it is, it is not ready
        return False
    return True


@pytest.fixture(scope="session")
def hdfs(tmp_path_factory):
    """The address of a NameNode with one DataNode."""
    context = free_context(tmp_path_factory.mktemp("hdfs"))
    specs = {"namenode": hdfs_specs.namenode(context), "datanode": hdfs_specs.datanode(context)}
    with running(context, specs):
        yield context.service("namenode").address_at(HOST)


class Broker:
    """A broker that a test may kill and start again."""

    def __init__(self, folder):
        """Nothing runs yet."""
        self.context = free_context(folder)
        self.spec = kafka_specs.spec(self.context)
        self.address = self.context.service("kafka").address_at(HOST)
        self.child = None

    def start(self):
        """Start it; it is ready when ``wait`` returns."""
        self.spec.prepare()
        environment = self.context.marked(self.spec.environment)
        self.child = Child.start(self.spec.command(), environment, self.context.log("kafka"), self.context.state)

    def wait(self):
        """Return when the broker has its topics."""
        wait_until(lambda: is_ready(self.spec), READY_S, f"kafka is not ready; see {self.context.log('kafka')}")

    def kill(self):
        """End it as a crash would."""
        self.child.kill()


@pytest.fixture(scope="session")
def broker(tmp_path_factory):
    """A broker with the topics; a test that kills it starts it again."""
    broker = Broker(tmp_path_factory.mktemp("kafka"))
    try:
        broker.start()
        broker.wait()
        yield broker
    finally:
        broker.kill()


@pytest.fixture(scope="session")
def kafka(broker):
    """The address of a broker with the topics."""
    return broker.address


@pytest.fixture(scope="session")
def mlflow(tmp_path_factory):
    """The address of an MLflow server on a database file of its own."""
    folder, port = tmp_path_factory.mktemp("mlflow"), free_port()
    address = f"http://{HOST}:{port}"
    store = [
        "--backend-store-uri",
        f"sqlite:///{folder}/mlflow.db",
        "--artifacts-destination",
        str(folder / "artifacts"),
    ]
    command = [sys.executable, "-m", "mlflow", "server", "--host", HOST, "--port", str(port), "--workers", "1", *store]
    environment = {**inherited(), "MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
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
