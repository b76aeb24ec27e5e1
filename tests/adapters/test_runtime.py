"""The embedded platform for real, on the ports of stack.yaml: up, crashes, a killed supervisor, down."""

import json
import os
import signal
from contextlib import closing, contextmanager

import psutil
import psycopg2
import pytest
import requests
from kafka import KafkaAdminClient

from apps.common.errors import SettingsError
from apps.common.names import StackNames
from apps.common.waiting import wait_until
from stack import services
from stack.cli.addresses import addresses
from stack.cli.stack import Mode, Stack
from stack.cli.status import problems_of
from stack.embedded import doctor
from stack.embedded.process import MARK, marked
from stack.embedded.runtime import EmbeddedRuntime
from stack.embedded.services import mlflow, postgres
from stack.embedded.services.spec import StackContext
from stack.environment import CLOCK, HOST, SERVICES, TEXT, clean_own_process
from stack.services import ServiceKind

PLATFORM = [one for one in services.load().services if one.kind is ServiceKind.PLATFORM]
BACK_S = 60


def ignore(*_):
    """Nobody looks at the progress."""


# What a shell may hold that would stop a service or turn it into another; each name is one that some part reads.
TRAPS = {
    **dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy"), f"http://{HOST}:9"),
    "LC_ALL": "de_DE",
    "TZ": "Pacific/Auckland",
    "TMPDIR": "/nonexistent",
    "PIP_USER": "1",
    "PGPORT": "1",
    "UVICORN_PORT": "1",
    "UVICORN_ROOT_PATH": "/x",
    "WEB_CONCURRENCY": "9",
    "KAFKA_HEAP_OPTS": "-Xmx1m",
    **dict.fromkeys(("JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "_JAVA_OPTIONS"), "--no-such-option"),
    **dict.fromkeys(("PYTHONHOME", "PYTHONPATH", "PYSPARK_PYTHON", "LD_LIBRARY_PATH", "CLASSPATH"), "/nonexistent"),
    **dict.fromkeys(("SPARK_HOME", "SPARK_CONF_DIR", "HADOOP_CONF_DIR", "YARN_CONF_DIR"), "/nonexistent"),
    **dict.fromkeys(("KRB5_CONFIG", "PGHOST", "PGDATA", "MLFLOW_TRACKING_URI", "AWS_PROFILE"), "/nonexistent"),
    "WHAT_THE_NEXT_PERSON_HAS": "1",
}


@contextmanager
def shell_of_traps():
    """The shell that a person starts Baton from; the CLI begins by cleaning its own process."""
    before = dict(os.environ)  # noqa: TID251
    try:
        os.environ.update(TRAPS)  # noqa: TID251
        clean_own_process()
        yield
    finally:
        os.environ.clear()  # noqa: TID251
        os.environ.update(before)  # noqa: TID251


@pytest.fixture(scope="module")
def runtime(tmp_path_factory):
    """The platform, up, from a shell full of traps."""
    runtime = EmbeddedRuntime(tmp_path_factory.mktemp("platform"))
    try:
        with shell_of_traps():
            runtime.up(PLATFORM, ignore)
        yield runtime
    finally:
        runtime.down()


def record(runtime, service):
    """What status says of a service."""
    return next(one for one in runtime.status() if one.service == service)


def test_up_returns_when_every_service_really_serves(runtime):
    """After up each service does its work: a query, a question, topics with their partitions, a DataNode."""
    partitions = services.load().delivery.partitions
    passfile = postgres.passfile(StackContext(runtime.state, services.load(), {}))
    with closing(psycopg2.connect(runtime.address("postgres"), passfile=passfile)) as connection:
        cursor = connection.cursor()
        cursor.execute("SELECT count(*) FROM alembic_version")
        tables = cursor.fetchone()[0]
    admin = KafkaAdminClient(bootstrap_servers=runtime.address("kafka"))
    topics = {one["name"]: len(one["partitions"]) for one in admin.describe_topics()}
    admin.close()

    assert 1 == tables
    names = StackNames("baton", "used_cars")
    assert dict.fromkeys((names.requests, names.answers, names.outcomes), partitions).items() <= topics.items()
    assert requests.get(f"{runtime.address('mlflow')}/health", timeout=5).ok
    assert {"ready"} == {one.state for one in runtime.status()}


def test_no_process_has_more_of_the_shell_than_is_named(runtime):
    """What each process was started with, as the system knows it: our own names, and those that may be passed on."""
    context = StackContext(runtime.state, services.load(), {})
    named = {
        *SERVICES,
        *TEXT,
        *CLOCK,
        *runtime.environment(),
        *mlflow.spec(context).environment,
        "BATON_CACHE_DIR",
        MARK,
    }
    processes = [one for one in runtime.processes() if one.name() != "postgres"]  # its titles overwrite its environment
    found = [process.environ() for process in processes]

    assert len(found) >= len(PLATFORM)
    assert {name for environ in found for name in environ} <= named
    assert all(HOST in environ["no_proxy"].split(",") for environ in found)
    assert all("/nonexistent" not in environ.values() for environ in found)


def test_every_page_that_open_shows_is_there(runtime):
    """The pages of MLflow and HDFS answer, as a browser asks for them."""
    pages = {address.page: address.url for address in addresses(Stack()) if address.page}

    assert {"mlflow", "hdfs"} == set(pages)
    assert all(requests.get(url, timeout=10).ok for url in pages.values())
    assert "FileStatus" in requests.get(pages["hdfs"], timeout=10).json()["FileStatuses"]


def test_everything_listens_on_loopback_only(runtime):
    """No port of the stack is reachable from another machine."""
    own = {process.pid for process in runtime.processes()}
    listening = [one for one in psutil.net_connections("tcp") if one.status == "LISTEN" and one.pid in own]

    assert {port for one in PLATFORM for port in one.ports.values()} <= {one.laddr.port for one in listening}
    assert {HOST} == {one.laddr.ip.removeprefix("::ffff:") for one in listening}


def test_up_again_starts_nothing(runtime):
    """A second up changes no process."""
    before = {process.pid for process in runtime.processes()}
    runtime.up(PLATFORM, ignore)

    assert before == {process.pid for process in runtime.processes()}


@pytest.mark.parametrize("service", ["kafka", "postgres", "namenode"])
def test_a_service_that_is_killed_comes_back(runtime, service):
    """Kill -9 of a service: it is ready again as another process, and the crash is counted."""
    before = record(runtime, service)
    os.kill(int(before.instances[0]), signal.SIGKILL)

    def back():
        now = record(runtime, service)
        return now.instances not in ((), before.instances) and now.state == "ready"

    wait_until(back, BACK_S, lambda: str(record(runtime, service)))

    assert before.restarts + 1 == record(runtime, service).restarts


def test_a_supervisor_that_is_killed_leaves_its_processes_to_the_next_one(runtime):
    """Kill -9 of the supervisor: status says that up mends it, and up does: the same processes, another supervisor."""
    before = {one.service: one.instances for one in runtime.status()}
    os.kill(int(before["supervisor"][0]), signal.SIGKILL)
    wait_until(lambda: record(runtime, "supervisor").instances == (), 5, "the supervisor must die")
    advice = problems_of(runtime.status(), Mode.EMBEDDED)
    runtime.up(PLATFORM, ignore)
    after = {one.service: one.instances for one in runtime.status()}

    assert ["supervisor is gone" in text and text.endswith("./baton up") for text in advice] == [True]
    assert [] == problems_of(runtime.status(), Mode.EMBEDDED)
    assert before.pop("supervisor") != after.pop("supervisor")
    assert before == after


def test_a_second_stack_is_refused_and_told_who_holds_the_ports(runtime, tmp_path):
    """The same ports in another state folder: up names the port, the process that holds it, and what to do."""
    with pytest.raises(SettingsError) as caught:
        EmbeddedRuntime(tmp_path).up(PLATFORM, ignore)

    pid = record(runtime, "kafka").instances[0]
    assert f"port 19092 (kafka broker) must be free; got process {pid}, " in str(caught.value)
    assert "edit kafka.ports.broker in stack/stack.yaml" in str(caught.value)
    assert all(one.ok for one in doctor.check(runtime.state, PLATFORM))


def test_logs_are_collected_one_folder_per_service(runtime, tmp_path):
    """collect_logs leaves a folder per service, and the supervisor's records."""
    runtime.collect_logs(tmp_path)
    folders = {folder.name for folder in tmp_path.iterdir()}

    assert {one.name for one in PLATFORM} | {"supervisor"} == folders
    assert json.loads((tmp_path / "supervisor" / "status.json").read_text())["services"]


def test_down_ends_everything_even_without_a_supervisor(runtime):
    """With the supervisor dead, down still ends each process; nothing carries the mark, every port is free."""
    pids = {process.pid for process in runtime.processes()}
    os.kill(int(record(runtime, "supervisor").instances[0]), signal.SIGKILL)
    runtime.down()

    assert len(pids) > len(PLATFORM)
    assert not runtime.processes()
    assert not marked(runtime.state)
    assert all(one.ok for one in doctor.check(runtime.state, PLATFORM) if one.name.startswith("port "))

    runtime.down()  # again, with nothing there
