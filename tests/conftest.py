"""
What every suite shares.

Property tests have no deadline, because a busy machine is no failure, and draw the same examples each time, because a
change is judged by what it changes; with ``--long`` they look for new ones.
"""

import signal

import pytest
import structlog
from hypothesis import settings


def pytest_addoption(parser):
    """Of every suite; its own are in its own folder."""
    parser.addoption("--long", action="store_true", help="the tests marked long too")


def pytest_configure(config):
    """Before any test is imported: its own settings start from these."""
    settings.register_profile("baton", deadline=None, derandomize=not config.getoption("--long"))
    settings.load_profile("baton")
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background ignores it, and so would children
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:  # by nohup: this process stays deaf, its children hear again
        signal.signal(signal.SIGHUP, lambda *_: None)


def pytest_collection_modifyitems(config, items):
    """A test that takes minutes of its own runs when it is asked for."""
    if not config.getoption("--long"):
        skip = pytest.mark.skip(reason="takes minutes of its own; run it with --long")
        for item in items:
            if item.get_closest_marker("long"):
                item.add_marker(skip)


@pytest.fixture(autouse=True)
def _logs_go_where_pytest_looks():
    """An app that ran inside a test has bound its logs to that test's output, which is closed afterwards."""
    yield
    structlog.reset_defaults()


@pytest.fixture
def usual_signals():
    """What SIGTERM and SIGINT did before is what they do after the test."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)
