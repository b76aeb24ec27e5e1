"""A broker that wants TLS and a password: who is let in, and why another is not."""

import time

import pytest

from apps.common.errors import BatonError, SettingsError, Unavailable
from apps.common.settings import kafka_access
from apps.common.topics import connected
from apps.common.waiting import wait_until
from stack import services
from stack.embedded.foreign_kafka import check, keep, make_topics, require_same
from tests.adapters.conftest import READY_S, with_topics
from tests.secure_broker import USER, SecureBroker


@pytest.fixture(scope="module")
def broker(tmp_path_factory):
    """A secure broker, which lets others in beside."""
    with with_topics(SecureBroker(tmp_path_factory.mktemp("secure"))) as broker:
        broker.add_user()
        yield broker


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({}, ""),
        ({"BATON_KAFKA_PASSWORD_FILE": "guessed"}, "Authentication failed"),
        ({"BATON_KAFKA_USER": "nobody"}, "Authentication failed"),
        ({"BATON_KAFKA_CA": None}, "certificate verify failed"),
        ({"BATON_KAFKA_CA": "guessed"}, "ssl.ca.location failed"),
        ({"BATON_KAFKA_MECHANISM": "PLAIN"}, "broker's supported mechanisms: SCRAM-SHA-512"),
        ({"BATON_KAFKA_PROTOCOL": None}, "Broker transport failure"),
    ],
    ids=["right", "password", "user", "no authority", "no certificate", "mechanism", "protocol"],
)
def test_who_is_not_let_in_learns_why(broker, tmp_path, change, words):
    """Each part that is wrong gives its own reason, and only with all of them right there is none."""
    guessed = tmp_path / "guessed"
    guessed.write_text("guessed")
    changed = {name: str(guessed) if value == "guessed" else value for name, value in change.items()}
    told = {name: value for name, value in {**broker.settings, **changed}.items() if value}
    found = check(told)

    assert found.ok is not bool(words)
    assert words in found.got


def test_topics_are_not_waited_for_where_nobody_is_let_in(broker):
    """A stack that runs is not checked as a new one is, and its ``up`` must end as soon."""
    told = {**broker.settings, "BATON_KAFKA_USER": "nobody"}
    with pytest.raises(Unavailable, match="Authentication failed"):
        make_topics(told, services.load().delivery)


def test_the_topics_of_a_stack_are_made_with_its_name(broker):
    """With TLS and the password, in a broker that has none of that name."""
    make_topics({**broker.settings, "BATON_STACK": "cars"}, services.load().delivery)

    with connected(kafka_access(broker.settings)) as admin:
        assert {"cars.prediction-requests", "cars.predictions", "cars.outcomes"} <= set(admin.list_topics())


def test_a_user_who_may_not_make_topics_is_told_so_at_once(tmp_path):
    """Its password is right and waiting helps nobody: what must be allowed is named, and of which topics."""
    strict = SecureBroker(tmp_path)
    strict.asks_rights = True
    with with_topics(strict):
        strict.add_user()
        wait_until(lambda: check(strict.settings).ok, READY_S, lambda: str(check(strict.settings)))
        began = time.monotonic()
        with pytest.raises(SettingsError) as refused:
            make_topics({**strict.settings, "BATON_STACK": "cars"}, services.load().delivery)

    assert time.monotonic() - began < 10
    assert f"user {USER} must be allowed to create, describe and alter the topics" in str(refused.value)
    assert "cars.prediction-requests" in str(refused.value)


def test_a_cluster_is_known_again_by_another_address_and_another_is_refused(broker, tmp_path):
    """Data belongs to a cluster, and not to the list of brokers by which it was reached."""
    keep(require_same(broker.settings, tmp_path), tmp_path)
    other_address = {"BATON_KAFKA": broker.address}
    known = require_same(other_address, tmp_path)

    keep("another", tmp_path)
    with pytest.raises(BatonError, match=f"must stay the cluster another; got the cluster {known} at {broker.address}"):
        require_same(other_address, tmp_path)
