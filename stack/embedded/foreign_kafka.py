"""
A Kafka that somebody else runs: whether it lets us in, and the topics in it, before anything of the stack is started.

Asked by librdkafka, which says why it was not let in; to the other two clients a wrong password is a broker away.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from apps.common import topics
from apps.common.errors import BatonError, SettingsError, Unavailable
from apps.common.files import write_whole
from apps.common.names import DEFAULT_STACK
from apps.common.settings import kafka_access
from stack.embedded.services.kafka import topic_settings
from stack.preflight import Check
from stack.services import KAFKA, Delivery

NAME = "BATON_STACK"
REFUSED = (KafkaError._AUTHENTICATION, KafkaError._SSL)  # noqa: SLF001 - so they are called
CLUSTER = "kafka-cluster"  # the file with its id
ANSWER_S = 5
TOPICS_S = 30
REMEDY = "see that it runs there, and that kafka_protocol, kafka_ca, kafka_user and the password are what it wants"


def check(settings: Mapping[str, str]) -> Check:
    """Whether the Kafka that ``settings`` name lets us in; they name one."""
    return _judged(settings, refusal(settings))


def require_same(settings: Mapping[str, str], state: Path) -> str:
    """
    The id of the cluster that ``settings`` name; raises BatonError when ``state`` belongs to another, or Unavailable.

    Its addresses may change; what waits in it is owed an answer.
    """
    got, why = _ask(settings)
    if why:
        raise Unavailable(str(_judged(settings, why)))
    kept = (state / CLUSTER).read_text() if (state / CLUSTER).exists() else got
    if got != kept:
        raise BatonError(
            f"the Kafka of a stack that has data must stay the cluster {kept}; got the cluster {got} at "
            f"{settings[KAFKA]}; first run ./baton reset, which removes its data"
        )
    return got


def keep(cluster: str, state: Path) -> None:
    """From now on the data in ``state`` belongs to this cluster."""
    write_whole(state / CLUSTER, cluster)


def make_topics(settings: Mapping[str, str], delivery: Delivery) -> None:
    """
    Make the stack's topics there, and set right those that are not as they must be.

    Raises Unavailable when it does not let us in, DeadlineMissed, or SettingsError with all that cannot be set right.
    """
    if not (found := check(settings)).ok:
        raise Unavailable(str(found))
    wanted = topic_settings(settings.get(NAME, DEFAULT_STACK), delivery, deadline_s=TOPICS_S)
    topics.wait_until_made(kafka_access(settings), wanted)


def refusal(settings: Mapping[str, str]) -> str:
    """Why the Kafka that ``settings`` name does not let us in, "" when it does."""
    _, why = _ask(settings)
    return why


def _judged(settings: Mapping[str, str], why: str) -> Check:
    return Check(f"Kafka must answer at {settings[KAFKA]}", not why, why or "it does", REMEDY)


def _ask(settings: Mapping[str, str]) -> tuple[str, str]:
    """The id of the cluster that ``settings`` name, and why it does not let us in; one of the two is ""."""
    said: list[KafkaError] = []
    try:
        told: dict[str, Any] = {**kafka_access(settings).librdkafka(), "error_cb": said.append, "log_level": 0}
        client = AdminClient(told)
        try:
            return str(client.list_topics(timeout=ANSWER_S).cluster_id), ""
        finally:
            client.poll(0)  # what was noted meanwhile
    except SettingsError as error:
        return "", str(error)
    except KafkaException as error:
        return "", reasons(said) or str(error.args[0].str())


def reasons(said: Iterable[KafkaError]) -> str:
    """
    Why nobody was let in, of all that the client said, each once.

    Where one of several addresses was reached and refused us, that is the reason, and not that another is not there.
    """
    told = [error for error in said if error.code() != KafkaError._ALL_BROKERS_DOWN]  # noqa: SLF001 - so it is called
    refused = [error for error in told if error.code() in REFUSED]
    return "; ".join(dict.fromkeys(error.str().partition(" (after ")[0] for error in refused or told))
