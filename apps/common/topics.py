"""``python -m apps.common.topics``: makes the topics of the loop; what is there already is left as it is."""

import sys

from kafka import KafkaAdminClient
from kafka.errors import KafkaError
from pydantic import Field

from apps.common import waiting
from apps.common.errors import BatonError, DeadlineMissed, SettingsError, Unavailable
from apps.common.logs import configure
from apps.common.messages import ANSWERS, OUTCOMES, REQUESTS
from apps.common.settings import Settings, load

HOUR_MS = 3_600_000
ANSWER_MS = 3000


class TopicSettings(Settings):
    """How many partitions each topic has, and how long and how large a record may be; stack.yaml explains each."""

    partitions: int = Field(ge=1)
    request_retention_hours: int = Field(ge=1)
    answer_retention_hours: int = Field(ge=1)
    segment_hours: int = Field(ge=1)
    message_max_bytes: int = Field(ge=1)
    deadline_s: float = 60


def configurations(told: TopicSettings) -> dict[str, dict[str, str]]:
    """The configuration of each topic; the broker's clock counts, whatever a client's says."""
    common = {
        "message.timestamp.type": "LogAppendTime",
        "segment.ms": str(told.segment_hours * HOUR_MS),
        "segment.bytes": str(64 * 1024 * 1024),
        "max.message.bytes": str(told.message_max_bytes),
    }
    hours = {
        REQUESTS: told.request_retention_hours,
        ANSWERS: told.answer_retention_hours,
        OUTCOMES: told.answer_retention_hours,
    }
    return {topic: common | {"retention.ms": str(hours[topic] * HOUR_MS)} for topic in hours}


def make(address: str, told: TopicSettings) -> None:
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
        known = {one["name"]: len(one["partitions"]) for one in admin.describe_topics() if not one["error_code"]}
        wanted = configurations(told)
        missing = {
            name: {"num_partitions": told.partitions, "replication_factor": -1, "configs": configs}
            for name, configs in wanted.items()
            if name not in known
        }
        if missing:
            admin.create_topics(missing)
            raise Unavailable(f"topics must be there; got none of {', '.join(missing)} yet; they are being made")
        for name in wanted:
            if known[name] != told.partitions:
                raise SettingsError(
                    f"topic {name} must have {told.partitions} partitions; got {known[name]}; "
                    "edit delivery.partitions in stack/stack.yaml, or ./baton reset"
                )
    except KafkaError as error:
        raise Unavailable(f"Kafka must answer at {address}; got {error}; is the stack up?") from error
    finally:
        admin.close()


def main() -> int:
    """Try until the topics are there; 0 when they are, 1 when they cannot be made."""
    log = configure("topics")
    problem = ""

    def made() -> bool:
        nonlocal problem
        try:
            make(told.kafka, told)
        except Unavailable as error:
            problem = str(error)
            return False
        return True

    try:
        told = load(TopicSettings)
        log = configure("topics", told.log_format)
        waiting.wait_until(made, told.deadline_s, lambda: problem)
    except (DeadlineMissed, BatonError) as error:
        log.error("the topics are not there", reason=str(error))  # noqa: TRY400 - its text says it all
        return 1
    log.info("the topics are there", partitions=told.partitions)
    return 0


if __name__ == "__main__":
    sys.exit(main())
