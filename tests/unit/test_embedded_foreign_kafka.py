"""A Kafka that somebody else runs, of which nobody is there."""

import pytest
from confluent_kafka import KafkaError

from stack.embedded import doctor, foreign_kafka
from tests.adapters.conftest import free_port


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ({}, "Connection refused"),
        ({"BATON_KAFKA_PROTOCOL": "SASL_SSL"}, "BATON_KAFKA_PASSWORD_FILE must be given with SASL_SSL"),
    ],
)
def test_doctor_says_why_a_persons_kafka_does_not_let_us_in(tmp_path, monkeypatch, told, words):
    """In seconds, with the address that was asked and the reason; a stack with a Kafka of its own has no such check."""
    monkeypatch.setattr(foreign_kafka, "ANSWER_S", 0.5)
    address = f"127.0.0.1:{free_port()}"
    *_, last = doctor.check(tmp_path, settings={"BATON_KAFKA": address, **told})

    assert not last.ok
    assert f"Kafka must answer at {address}" == last.name
    assert words in last.got
    assert not [one for one in doctor.check(tmp_path) if one.name.startswith("Kafka")]


@pytest.mark.parametrize("code", [KafkaError._AUTHENTICATION, KafkaError._SSL])  # noqa: SLF001 - so they are called
def test_a_broker_that_refuses_us_is_heard_before_one_that_is_not_there(code):
    """Of several addresses, or of one name with two, the refusal is what a person can mend."""
    away, refused = KafkaError(KafkaError._TRANSPORT, "[::1]:9092: Connection refused"), KafkaError(code, "no entry")  # noqa: SLF001

    assert "no entry" == foreign_kafka.reasons([away, refused, away])


def test_of_brokers_that_are_not_there_each_is_named_once():
    """Whatever the client says again after a while, and that all of them are down, is nothing new."""
    told = [KafkaError(KafkaError._TRANSPORT, words) for words in ("a (after 1ms)", "b", "a (after 9ms)")]  # noqa: SLF001
    told.append(KafkaError(KafkaError._ALL_BROKERS_DOWN, "2/2 brokers are down"))  # noqa: SLF001

    assert "a; b" == foreign_kafka.reasons(told)
