"""The stack under test: one for the whole run, with a state folder of its own, ended and removed afterwards."""

import shutil

import pytest

from loadtest.traffic import LiveLedger
from stack.session import ROOT, Session


@pytest.fixture(scope="session")
def stack():
    """A running stack with small data; its logs are collected when a test fails."""
    session = Session(ROOT / ".baton" / "e2e")
    session.runtime.down()
    shutil.rmtree(session.state, ignore_errors=True)
    try:
        session.up("used_cars", None, BATON_SLICE_ROWS="3000", BATON_TEST_ROWS="1000", BATON_BATCH_GRACE_S="20")
        yield session
    finally:
        session.runtime.down()
        assert not session.runtime.processes()


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
