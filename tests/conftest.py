"""What every suite shares: property tests have no deadline, because a busy machine is no failure."""

import pytest
import structlog
from hypothesis import settings

settings.register_profile("baton", deadline=None)
settings.load_profile("baton")


@pytest.fixture(autouse=True)
def _logs_go_where_pytest_looks():
    """An app that ran inside a test has bound its logs to that test's output, which is closed afterwards."""
    yield
    structlog.reset_defaults()
