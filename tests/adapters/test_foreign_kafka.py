"""A broker that wants TLS and a password: who is let in, and why another is not."""

import pytest

from apps.common.errors import Unavailable
from apps.common.settings import kafka_access
from apps.common.topics import connected
from stack import services
from stack.embedded.foreign_kafka import check, make_topics
from tests.adapters.conftest import with_topics
from tests.secure_broker import SecureBroker


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
