"""``python -m apps.common.topics``: makes the topics of the loop; what is there already is left as it is."""

import sys
from typing import Annotated

from kafka import KafkaAdminClient
from kafka.errors import KafkaError
from pydantic import Field
from structlog.stdlib import BoundLogger

from apps.common import entry, waiting
from apps.common.errors import SettingsError, Unavailable
from apps.common.exit_codes import DONE
from apps.common.messages import ANSWERS, OUTCOMES, REQUESTS
from apps.common.settings import DELIVERY, SetBy, Settings, Unit

HOUR_MS = 3_600_000
ANSWER_MS = 3000


class TopicSettings(Settings):
    """How many partitions each topic has, and how long and how large a record may be; stack.yaml explains each."""

    partitions: Annotated[int, Unit("partitions"), DELIVERY] = Field(ge=1, description="Partitions of each topic.")
    request_retention_hours: Annotated[int, Unit("hours"), DELIVERY] = Field(
        ge=1, description="How long an unanswered request may wait for a server."
    )
    answer_retention_hours: Annotated[int, Unit("hours"), DELIVERY] = Field(
        ge=1, description="How long answers and outcomes are kept; longer than requests."
    )
    segment_hours: Annotated[int, Unit("hours"), DELIVERY] = Field(
        ge=1, description="How much longer than its retention a record may stay."
    )
    message_max_bytes: Annotated[int, Unit("bytes"), DELIVERY] = Field(
        ge=1, description="The size of the largest record."
    )
    deadline_s: Annotated[float, Unit("seconds"), SetBy("settings of charts/pipeline")] = Field(
        default=60, gt=0, description="How long to try before giving up."
    )


def configurations(settings: TopicSettings) -> dict[str, dict[str, str]]:
    """The configuration of each topic; the broker's clock counts, whatever a client's says."""
    common = {
        "message.timestamp.type": "LogAppendTime",
        "segment.ms": str(settings.segment_hours * HOUR_MS),
        "segment.bytes": str(64 * 1024 * 1024),
        "max.message.bytes": str(settings.message_max_bytes),
    }
    hours = {
        REQUESTS: settings.request_retention_hours,
        ANSWERS: settings.answer_retention_hours,
        OUTCOMES: settings.answer_retention_hours,
    }
    return {topic: common | {"retention.ms": str(hours[topic] * HOUR_MS)} for topic in hours}


def make(address: str, settings: TopicSettings) -> None:
    """
    Make the topics that are missing; returns when all are there.

    Raises Unavailable while one is being made or the broker does not answer, SettingsError when one has another number
    of partitions.
    """
    # Short, because a broker that still starts accepts a connection and then says nothing for a while.
    patience = {"bootstrap_timeout_ms": ANSWER_MS, "request_timeout_ms": ANSWER_MS, "reconnect_backoff_max_ms": 200}
    try:
        admin = KafkaAdminClient(bootstrap_servers=address, **patience)
    except KafkaError as error:
        raise Unavailable(f"Kafka must answer at {address}; got {error}; is the stack up?") from error
    try:
        known = {
            topic["name"]: len(topic["partitions"]) for topic in admin.describe_topics() if not topic["error_code"]
        }
        configured = configurations(settings)
        missing = {
            name: {"num_partitions": settings.partitions, "replication_factor": -1, "configs": configs}
            for name, configs in configured.items()
            if name not in known
        }
        if missing:
            admin.create_topics(missing)
            raise Unavailable(f"topics must be there; got none of {', '.join(missing)} yet; they are being made")
        for name in configured:
            if known[name] != settings.partitions:
                raise SettingsError(
                    f"topic {name} must have {settings.partitions} partitions; got {known[name]}; "
                    "edit delivery.partitions in stack/stack.yaml, or ./baton reset"
                )
    except KafkaError as error:
        raise Unavailable(f"Kafka must answer at {address}; got {error}; is the stack up?") from error
    finally:
        admin.close()


def work(settings: TopicSettings, log: BoundLogger) -> int:
    """Try until the topics are there."""
    problem = ""

    def made() -> bool:
        nonlocal problem
        try:
            make(settings.kafka, settings)
        except Unavailable as error:
            problem = str(error)
            return False
        return True

    waiting.wait_until(made, settings.deadline_s, lambda: problem)
    log.info("the topics are there", partitions=settings.partitions)
    return DONE


if __name__ == "__main__":
    sys.exit(entry.run("topics", TopicSettings, work, failed="the topics are not there"))
