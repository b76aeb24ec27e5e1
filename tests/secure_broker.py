"""A broker that asks its clients for TLS and a password (SASL_SSL), with an authority of its own for certificates."""

import shutil
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

from confluent_kafka.admin import (
    AdminClient,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from apps.common.kafka_access import KafkaAccess
from apps.common.waiting import wait_until
from stack.embedded import foreign_kafka
from stack.environment import HOST
from tests.adapters.conftest import READY_S, Broker, free_port

USER, PASSWORD = "cars", 'p"a\\ss=;word'


class SecureBroker(Broker):
    """It has a second listener, SASL_SSL, beside the one for its own."""

    def __init__(self, folder):
        """Nothing runs yet."""
        super().__init__(folder)
        self.asks_rights = False  # whether its user may do only what somebody allowed
        self.alone = False  # whether the second listener is the only one
        self.secure = f"{HOST}:{free_port()}"
        self.ca, self.keystore, self.password_file = (folder / name for name in ("ca.pem", "server.pem", "password"))
        self.password_file.write_text(PASSWORD)
        write_certificates(self.ca, self.keystore)

    @property
    def access(self):
        """As its user reaches it."""
        return KafkaAccess(self.secure, "SASL_SSL", self.ca, "SCRAM-SHA-512", USER, self.password_file)

    @property
    def settings(self):
        """The same as an app is told."""
        return {
            "BATON_KAFKA": self.secure,
            "BATON_KAFKA_PROTOCOL": "SASL_SSL",
            "BATON_KAFKA_CA": str(self.ca),
            "BATON_KAFKA_USER": USER,
            "BATON_KAFKA_PASSWORD_FILE": str(self.password_file),
        }

    def prepare(self):
        """Write its configuration with the second listener."""
        super().prepare()
        file = self.spec.folder / "server.properties"
        told = dict(line.split("=", 1) for line in file.read_text().splitlines())
        for name, value in {
            "listeners": f"SECURE://{self.secure}",
            "advertised.listeners": f"SECURE://{self.secure}",
            "listener.security.protocol.map": "SECURE:SASL_SSL",
        }.items():
            told[name] = f"{told[name]},{value}"
        told |= {
            "sasl.enabled.mechanisms": "SCRAM-SHA-512",
            "listener.name.secure.scram-sha-512.sasl.jaas.config": (
                "org.apache.kafka.common.security.scram.ScramLoginModule required;"
            ),
            "listener.name.secure.ssl.keystore.type": "PEM",
            "listener.name.secure.ssl.keystore.location": "server.pem",
        }
        if self.asks_rights:
            told |= {
                "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
                "super.users": "User:ANONYMOUS",  # whoever comes by the listener for its own
            }
        if self.alone:
            told |= {
                name: ",".join(one for one in told[name].split(",") if not one.startswith("BROKER:"))
                for name in ("listeners", "advertised.listeners", "listener.security.protocol.map")
            }
            told |= {
                "inter.broker.listener.name": "SECURE",
                "sasl.mechanism.inter.broker.protocol": "SCRAM-SHA-512",
                "listener.name.secure.ssl.truststore.type": "PEM",
                "listener.name.secure.ssl.truststore.location": "ca.pem",
                "listener.name.secure.scram-sha-512.sasl.jaas.config": (
                    "org.apache.kafka.common.security.scram.ScramLoginModule required username=nobody password=none;"
                ),  # there is no other broker to show it to
            }
        for pem in (self.keystore, self.ca):
            shutil.copy(pem, self.spec.folder)
        file.write_text("".join(f"{name}={value}\n" for name, value in told.items()))

    def shut_others_out(self):
        """Start it anew without the listener for its own: nobody gets in but with TLS and the password."""
        self.kill()
        self.alone = True
        self.start()
        wait_until(lambda: not foreign_kafka.refusal(self.settings), READY_S, "the broker must let its user in")

    def add_user(self):
        """Give the user its password, over the listener for its own."""
        credential = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 4096)
        change = UserScramCredentialUpsertion(USER, credential, PASSWORD.encode())
        admin = AdminClient({"bootstrap.servers": self.address})
        for done in admin.alter_user_scram_credentials([change]).values():
            done.result(20)


def write_certificates(ca_file, keystore):
    """An authority's certificate, and a key with a certificate of it for this host."""
    authority, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca = certificate("Baton's test authority", authority, "Baton's test authority", authority, ca=True)
    own = certificate("broker", key, "Baton's test authority", authority, ca=False)
    ca_file.write_bytes(ca.public_bytes(serialization.Encoding.PEM))
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    keystore.write_bytes(private + own.public_bytes(serialization.Encoding.PEM))


def certificate(subject, key, issuer, authority, *, ca):
    """A certificate for an hour."""
    now = datetime.now(UTC)
    names = x509.SubjectAlternativeName([x509.IPAddress(ip_address(HOST))])
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .sign(authority, hashes.SHA256())
    )
