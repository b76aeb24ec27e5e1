"""The stack under test: one for the whole run, with a state of its own, ended and removed afterwards."""

import shutil
import sys

import pytest

from loadtest.traffic import LiveLedger
from stack.cli.stack import Mode, Stack
from stack.environment import ROOT
from tests.e2e.faults.table import FaultTable

NAME = "e2e"
TABLE = pytest.StashKey[FaultTable]()
SMALL = {
    "BATON_SLICE_ROWS": "3000",
    "BATON_TEST_ROWS": "1000",
    "BATON_BATCH_GRACE_S": "20",
    "BATON_TREES": "60",  # a training and a start of a server take a fraction of what all 240 do
    "BATON_STANDBY": "off",  # but for its own tests: what is proven of a server is proven of it alone
}


def pytest_addoption(parser):
    """The mode is given, never detected."""
    parser.addoption("--mode", choices=[str(mode) for mode in Mode], default=str(Mode.EMBEDDED))
    parser.addoption("--faults", action="store_true", help="the tests marked faults too")
    parser.addoption("--soak", type=float, default=0, metavar="MINUTES", help="faults at random for so long")
    parser.addoption("--seed", type=int, default=1, help="which faults a soak plays, in which order")
    parser.addoption("--running", action="store_true", help="use the stack of ./baton up, and leave it running")


def pytest_configure(config):
    """Nothing was played yet."""
    config.stash[TABLE] = FaultTable()


def pytest_terminal_summary(terminalreporter, config):
    """Show the fault table, and keep it beside what failed tests leave behind."""
    table = config.stash[TABLE]
    if table.rows:
        terminalreporter.section("fault table")
        terminalreporter.write_line(table.markdown())
        (ROOT / ".baton" / "fault-table.md").write_text(table.markdown() + "\n")


def pytest_ignore_collect(collection_path, config):
    """What only one mode can show is asked of that mode; only Linux can put processes into a network of their own."""
    mode = config.getoption("--mode")
    if collection_path.name == "test_9_soak.py" and not config.getoption("--soak"):
        return True
    if collection_path.name == "test_4_cluster.py" and mode != Mode.CLUSTER:
        return True
    if (
        collection_path.name
        in ("test_1_gateway.py", "test_5_two_stacks.py", "test_7_standby.py", "test_9_secure_kafka.py")
        and mode != Mode.EMBEDDED
    ):
        return True
    if collection_path.name == "test_0_offline.py" and (mode != Mode.EMBEDDED or sys.platform != "linux"):
        return True
    return None


def pytest_collection_modifyitems(config, items):
    """A fault that is played in full is played when it is asked for, and so is what another mode has shown."""
    if config.getoption("--mode") == Mode.CLUSTER:
        for item in items:
            if item.get_closest_marker("once"):
                item.add_marker("faults")
    if not config.getoption("--faults"):
        skip = pytest.mark.skip(reason="takes minutes of its own; run it with --faults")
        for item in items:
            if item.get_closest_marker("faults"):
                item.add_marker(skip)


@pytest.fixture(scope="session")
def mode(request):
    """Where the stack runs."""
    return Mode(request.config.getoption("--mode"))


@pytest.fixture(scope="session")
def place(request, mode):
    """What the stack is put into, made before it and removed after it: in cluster mode a kind cluster."""
    if mode is Mode.EMBEDDED or request.config.getoption("--running"):
        yield
    else:
        from tests.e2e.kind_cluster import cluster  # noqa: PLC0415 - embedded tests need no Docker

        with cluster(f"baton-{NAME}"):
            yield


@pytest.fixture(scope="session")
def stack(request, mode, place):
    """A running stack with small data; its logs are collected when a test fails."""
    if request.config.getoption("--running"):
        yield Stack(mode=mode)
        return
    session = Stack(NAME, mode)
    if mode is Mode.EMBEDDED:
        session.runtime.wipe()  # what a killed run left; in cluster mode the place is new
    shutil.rmtree(session.state, ignore_errors=True)
    try:
        session.up("used_cars", None, **SMALL)
        yield session
    finally:
        if mode is Mode.EMBEDDED:  # a cluster is removed by who made it, and only then
            session.runtime.wipe()
            assert not session.running()


@pytest.fixture(scope="session")
def faults(stack, mode):
    """Ends parts of the stack as crashes would."""
    if mode is Mode.CLUSTER:
        from tests.e2e.faults.cluster import ClusterFaults  # noqa: PLC0415

        return ClusterFaults(stack)
    from tests.e2e.faults.embedded import EmbeddedFaults  # noqa: PLC0415

    return EmbeddedFaults(stack)


@pytest.fixture(scope="session")
def pipeline(stack):
    """The verbs of the loop."""
    return stack.pipeline()


@pytest.fixture(scope="session")
def first_version(pipeline):
    """The first version, trained on the first batch and serving."""
    version = pipeline.wait_for_version_trained_on(pipeline.drop_batch())
    pipeline.wait_until_served(version)
    return version


@pytest.fixture(scope="session")
def two_versions(pipeline, first_version):
    """Two versions at least, of which the newest serves."""
    if len(pipeline.versions()) < 2:
        pipeline.wait_for_version_trained_on(pipeline.drop_batch())
    pipeline.wait_until_served(pipeline.versions()[-1].version)


@pytest.fixture(scope="session")
def table(request):
    """The fault table of this run, which is shown at its end."""
    return request.config.stash[TABLE]


@pytest.fixture
def ledger(pipeline, tmp_path):
    """A fresh ledger for one test."""
    return LiveLedger(pipeline.environment, tmp_path)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Leave the logs of every service behind when a test fails."""
    report = (yield).get_result()
    session = item.funcargs.get("stack")
    if report.failed and session is not None:
        folder = ROOT / ".baton" / "failures" / item.name
        session.runtime.collect_logs(folder)
        report.sections.append(("logs", f"collected in {folder}"))
