"""
How Kafka is reached, said once for the three clients that do: kafka-python, librdkafka and Spark's connector.

A password stands in a file, so that no environment and no command line shows it.
"""

from dataclasses import dataclass
from pathlib import Path

from apps.common.errors import SettingsError

SASL = "SASL_"
READING = {  # librdkafka's, of whoever follows a topic as it grows and commits nothing
    "enable.auto.commit": False,
    "auto.offset.reset": "error",
    "isolation.level": "read_uncommitted",
    "fetch.error.backoff.ms": 50,
    "reconnect.backoff.max.ms": 500,
}
LOGIN = {
    "PLAIN": "org.apache.kafka.common.security.plain.PlainLoginModule",
    "SCRAM-SHA-256": "org.apache.kafka.common.security.scram.ScramLoginModule",
    "SCRAM-SHA-512": "org.apache.kafka.common.security.scram.ScramLoginModule",
}


@dataclass(frozen=True)
class KafkaAccess:
    """
    The brokers and what they want to see; ``ca`` is a file of PEM certificates, None takes those of the machine.

    Each method gives one client's options. They raise SettingsError when the password's file cannot be read.
    """

    brokers: str
    protocol: str = "PLAINTEXT"
    ca: Path | None = None
    mechanism: str = "SCRAM-SHA-512"
    user: str = ""
    password_file: Path | None = None

    @property
    def _password(self) -> str:
        try:
            return self.password_file.read_text().rstrip("\n") if self.password_file else ""
        except (OSError, ValueError) as error:
            raise SettingsError(
                f"BATON_KAFKA_PASSWORD_FILE must be a file that can be read; got {error}; write the password into it"
            ) from error

    def python(self) -> dict[str, str]:
        """For kafka-python."""
        told = {"bootstrap_servers": self.brokers, "security_protocol": self.protocol}
        if self.ca:
            told["ssl_cafile"] = str(self.ca)
        if self.protocol.startswith(SASL):
            names = ("sasl_mechanism", "sasl_plain_username", "sasl_plain_password")
            told |= zip(names, (self.mechanism, self.user, self._password), strict=True)
        return told

    def librdkafka(self) -> dict[str, str]:
        """For confluent-kafka."""
        told = {"bootstrap.servers": self.brokers, "security.protocol": self.protocol}
        if self.ca:
            told["ssl.ca.location"] = str(self.ca)
        if self.protocol.startswith(SASL):
            names = ("sasl.mechanism", "sasl.username", "sasl.password")
            told |= zip(names, (self.mechanism, self.user, self._password), strict=True)
        return told

    def spark(self) -> dict[str, str]:
        """For Spark's source and sink."""
        told = {"bootstrap.servers": self.brokers, "security.protocol": self.protocol}
        if self.ca:
            told |= {"ssl.truststore.type": "PEM", "ssl.truststore.location": str(self.ca)}
        if self.protocol.startswith(SASL):
            user, password = map(_quoted, (self.user, self._password))
            login = f"{LOGIN[self.mechanism]} required username={user} password={password};"
            told |= {"sasl.mechanism": self.mechanism, "sasl.jaas.config": login}
        return {f"kafka.{name}": value for name, value in told.items()}


def _quoted(text: str) -> str:
    """A text as JAAS takes it."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
