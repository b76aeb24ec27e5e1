"""A Kafka that somebody else runs, of which nobody is there."""

import pytest

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
