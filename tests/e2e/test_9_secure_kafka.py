"""The story on a Kafka of a person's own, which wants TLS and a password: the stack starts none, and loses nothing."""

import time

import pytest

from apps.common.errors import SettingsError
from apps.common.files import remove_folder
from apps.common.settings import kafka_access
from loadtest.ledger import problems
from loadtest.traffic import LiveLedger
from stack.cli.stack import Stack
from stack.embedded.foreign_kafka import refusal
from tests.e2e.conftest import NAME, SMALL
from tests.secure_broker import PASSWORD, SecureBroker

CARS = "cars"
SECRET = PASSWORD[-8:]  # what is before it has a backslash, and is written otherwise in places
RATE = 100
AT_ONCE_S = 60  # a fifth of what is waited for services that were started


@pytest.fixture(scope="module")
def broker(tmp_path_factory):
    """A broker that has no listener for clients without TLS and a password."""
    broker = SecureBroker(tmp_path_factory.mktemp("kafka"))
    try:
        broker.start()
        broker.wait()
        broker.add_user()
        broker.shut_others_out()
        yield broker
    finally:
        broker.kill()


@pytest.fixture
def fresh():
    """A stack that was never up; afterwards nothing is left of it."""
    stack = Stack(f"{NAME}-secure")
    stack.runtime.wipe()
    yield stack
    stack.runtime.wipe()
    remove_folder(stack.state)


@pytest.fixture
def stack(fresh, broker):
    """A running stack on that broker; that of the tests before is down from here on: the ports are the same."""
    other = Stack(NAME)
    if other.running():
        other.down()
    fresh.up("used_cars", None, **SMALL, **broker.settings, BATON_STACK=CARS)
    yield fresh
    fresh.down()


def test_a_wrong_password_is_refused_before_anything_is_started(fresh, broker, tmp_path):
    """
    ``up`` says within seconds that the broker refused it, and has started and kept nothing.
    """
    guessed = tmp_path / "guessed"
    guessed.write_text("guessed")
    began = time.monotonic()

    with pytest.raises(SettingsError, match=rf"Kafka must answer at {broker.secure}; got .*Authentication failed"):
        fresh.up("used_cars", None, **{**broker.settings, "BATON_KAFKA_PASSWORD_FILE": str(guessed)})

    assert time.monotonic() - began < AT_ONCE_S
    assert not fresh.running()
    assert {} == fresh.settings


@pytest.mark.faults
def test_the_story_on_a_kafka_with_tls_and_a_password_loses_nothing(stack, broker, tmp_path):
    """
    Two versions, a hand-over under traffic, every answer right; no way led to the broker but by TLS and the password,
    and nobody was shown the password.
    """
    pipeline = stack.pipeline()
    ledger = LiveLedger(pipeline.environment, tmp_path)
    first = pipeline.wait_for_version_trained_on(pipeline.drop_batch())
    pipeline.wait_until_served(first)
    with ledger.traffic(RATE):
        second = pipeline.wait_for_version_trained_on(pipeline.drop_batch())
        pipeline.wait_until_served(second)
        ledger.wait_until_answered_by(second)
    verdict = ledger.verdict(pipeline.expected([first, second]))

    assert [] == problems(verdict, 2, must_compare=True)
    assert "kafka" not in {one.service for one in stack.runtime.status()}
    assert kafka_access(pipeline.environment) == broker.access
    assert all(map(refusal, ({"BATON_KAFKA": address} for address in (broker.secure, broker.address))))
    assert [] == [one for one in stack.runtime.processes() if SECRET in f"{one.cmdline()}{one.environ()}"]
    stack.down()
    assert [] == [one for one in stack.state.rglob("*") if one.is_file() and SECRET.encode() in one.read_bytes()]
