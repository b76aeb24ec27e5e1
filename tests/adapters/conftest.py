"""Real services for the adapter tests: started on free ports from the stack's own specs, ended afterwards."""

import socket
from contextlib import ExitStack, contextmanager
from dataclasses import replace

import pytest

from apps.common.waiting import wait_until
from stack import services
from stack.embedded.process import Child
from stack.embedded.services import hdfs as hdfs_specs
from stack.embedded.services import kafka as kafka_specs
from stack.embedded.services import mlflow as mlflow_specs
from stack.embedded.services.spec import StackContext
from stack.environment import HOST, inherited

READY_S = 60
ODD = 'my bätön 100% %41 q" $HOME #1&(a);=@+!~^`'  # a checkout may lie in a folder of such a name


class OddFolders:
    """Makes folders below one with an odd name."""

    def __init__(self, factory):
        """``factory`` is pytest's own."""
        self.factory = factory

    def mktemp(self, name):
        """A new folder."""
        folder = self.factory.mktemp(name) / ODD
        folder.mkdir()
        return folder


@pytest.fixture(scope="session")
def tmp_path_factory(tmp_path_factory):
    """Every folder of this suite has an odd name, so that each test proves that a checkout's folder may have one."""
    return OddFolders(tmp_path_factory)


@pytest.fixture
def tmp_path(tmp_path_factory):
    """A test's own folder."""
    return tmp_path_factory.mktemp("test")


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
            children[name] = Child.start(spec.command(), environment, context.log(name), spec.folder)
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

    def prepare(self):
        """Write what it reads at its start."""
        self.spec.prepare()

    def start(self):
        """Start it; it is ready when ``wait`` returns."""
        self.prepare()
        environment = self.context.marked(self.spec.environment)
        self.child = Child.start(self.spec.command(), environment, self.context.log("kafka"), self.spec.folder)

    def wait(self):
        """Return when the broker has its topics."""
        wait_until(lambda: is_ready(self.spec), READY_S, f"kafka is not ready; see {self.context.log('kafka')}")

    def kill(self):
        """End it as a crash would."""
        self.child.kill()


@contextmanager
def with_topics(broker):
    """A broker with the topics while the block runs."""
    try:
        broker.start()
        broker.wait()
        yield broker
    finally:
        broker.kill()


@pytest.fixture(scope="session")
def broker(tmp_path_factory):
    """A broker with the topics; a test that kills it starts it again."""
    with with_topics(Broker(tmp_path_factory.mktemp("kafka"))) as broker:
        yield broker


@pytest.fixture(scope="session")
def kafka(broker):
    """The address of a broker with the topics."""
    return broker.address


@pytest.fixture(scope="session")
def mlflow(tmp_path_factory):
    """The address of an MLflow server on a database file of its own."""
    context = free_context(tmp_path_factory.mktemp("mlflow"))
    spec = mlflow_specs.spec(context)
    packages = context.folder("packages")  # as those of a checkout in a folder with this name
    (packages / "mlflow").symlink_to(spec.folder / "mlflow")
    database = tmp_path_factory.factory.mktemp("database") / "mlflow.db"
    on_a_file = {**spec.environment, "_MLFLOW_SERVER_FILE_STORE": f"sqlite:///{database}"}
    with running(context, {"mlflow": replace(spec, folder=packages, environment=on_a_file)}):
        yield context.service("mlflow").address_at(HOST)
