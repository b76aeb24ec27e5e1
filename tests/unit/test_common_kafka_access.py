"""One way to say how Kafka is reached, for three clients that each call it something else."""

import pytest

from apps.common.errors import SettingsError
from apps.common.kafka_access import KafkaAccess
from apps.common.settings import Settings, kafka_access, load


@pytest.fixture
def password(tmp_path):
    """A file with an awkward password, as a Secret is mounted or an editor leaves it."""
    file = tmp_path / "password"
    file.write_text('p"a\\ss=;word\n')
    return file


@pytest.fixture
def secured(password, tmp_path):
    """A broker that wants TLS and a password."""
    return KafkaAccess("broker:9093", "SASL_SSL", tmp_path / "ca.pem", "SCRAM-SHA-256", "cars", password)


def test_an_open_broker_needs_its_address_alone():
    """What is told each client is that and no more."""
    access = KafkaAccess("broker:9092")

    assert {"bootstrap_servers": "broker:9092", "security_protocol": "PLAINTEXT"} == access.python()
    assert {"bootstrap.servers": "broker:9092", "security.protocol": "PLAINTEXT"} == access.librdkafka()
    assert {f"kafka.{name}": value for name, value in access.librdkafka().items()} == access.spark()


def test_each_client_is_told_the_same_user_password_and_certificates(secured, tmp_path):
    """The password without the end of its line; for Java as a quoted text of JAAS."""
    ca = str(tmp_path / "ca.pem")
    shown = {"SCRAM-SHA-256", "cars", 'p"a\\ss=;word', ca, "SASL_SSL", "broker:9093"}

    assert shown == set(secured.python().values()) == set(secured.librdkafka().values())
    spark = secured.spark()
    assert ("PEM", ca) == (spark["kafka.ssl.truststore.type"], spark["kafka.ssl.truststore.location"])
    assert spark["kafka.sasl.jaas.config"] == (
        'org.apache.kafka.common.security.scram.ScramLoginModule required username="cars" password="p\\"a\\\\ss=;word";'
    )


def test_tls_alone_shows_no_password(password):
    """A user is told to nobody who did not ask for one."""
    access = KafkaAccess("broker:9093", "SSL", None, "PLAIN", "cars", password)

    assert not {"sasl_mechanism", "sasl.mechanism", "kafka.sasl.jaas.config"} & {
        *access.python(),
        *access.librdkafka(),
        *access.spark(),
    }


def test_a_password_that_cannot_be_read_is_said_with_its_setting(secured, password):
    """Not as a traceback of whichever client comes first."""
    password.unlink()
    for options in (secured.python, secured.librdkafka, secured.spark):
        with pytest.raises(SettingsError, match="BATON_KAFKA_PASSWORD_FILE must be a file that can be read"):
            options()


def test_who_is_told_variables_takes_none_of_this_process(monkeypatch):
    """What is not among them has its default, whatever the shell holds."""
    monkeypatch.setenv("BATON_KAFKA_PROTOCOL", "SSL")
    monkeypatch.setenv("BATON_KAFKA_USER", "somebody")

    assert KafkaAccess("broker:9092") == kafka_access({"BATON_KAFKA": "broker:9092", "BATON_DATASET": "cars"})


@pytest.mark.parametrize("protocol", ["SASL_PLAINTEXT", "SASL_SSL"])
def test_a_user_without_a_password_is_refused_before_anything_starts(monkeypatch, protocol):
    """Both settings are named."""
    monkeypatch.setenv("BATON_KAFKA_PROTOCOL", protocol)
    monkeypatch.setenv("BATON_KAFKA_USER", "cars")
    wanted = r"BATON_KAFKA_PASSWORD_FILE must be given with SASL_\w+, beside the user; got None and .cars."
    with pytest.raises(SettingsError, match=wanted):
        load(Settings)
