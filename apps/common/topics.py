"""
``python -m apps.common.topics``: makes the topics of the loop, and sets those that are there as the loop needs them.

A topic that somebody else made is not believed: each pass looks, mends what differs, and leaves the rest as it is.
"""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Annotated

from kafka import KafkaAdminClient
from kafka.admin import ConfigFilterType, ConfigResource, ConfigResourceType
from kafka.errors import AuthorizationError, KafkaError, TopicAlreadyExistsError
from pydantic import Field, model_validator
from structlog.stdlib import BoundLogger

from apps.common import entry, waiting
from apps.common.errors import SettingsError, Unavailable
from apps.common.exit_codes import DONE
from apps.common.kafka_access import KafkaAccess
from apps.common.names import StackNames
from apps.common.settings import DELIVERY, SetBy, Settings, Unit

HOUR_MS = 3_600_000
MOST_PARTITIONS = 64  # a server holds a slot of its JVM for each
ANSWER_MS = 3000
RELIED_ON = {"cleanup.policy": "delete", "message.timestamp.type": "LogAppendTime"}
FOR_EVER = -1  # as a retention in milliseconds
UNKNOWN = "nothing: Kafka does not tell its user"
TAKEN = "OK"  # what the client says of a change that the broker took


class TopicSettings(Settings):
    """How many partitions each topic has, and how long and how large a record may be; stack.yaml explains each."""

    partitions: Annotated[int, Unit("partitions"), DELIVERY] = Field(
        ge=1, le=MOST_PARTITIONS, description="Partitions of each topic; more may be asked for later, fewer never."
    )
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

    @model_validator(mode="after")
    def _answers_are_kept_longer(self) -> "TopicSettings":
        longest = self.request_retention_hours + self.segment_hours
        if self.answer_retention_hours <= longest:
            raise ValueError(
                f"BATON_ANSWER_RETENTION_HOURS must be more than {longest} (request_retention_hours + segment_hours); "
                f"got {self.answer_retention_hours}; raise it: a request that outlives its answer is answered again"
            )
        return self


@dataclass(frozen=True)
class TopicState:
    """What a broker says of a topic: the number of its partitions, and its configuration by name."""

    partitions: int
    configuration: Mapping[str, str]


def configurations(settings: TopicSettings) -> dict[str, dict[str, str]]:
    """
    What must hold of each topic.

    The broker's clock counts, whatever a client's says; a record goes when its time is over and for no other reason:
    not for its key, not for the room that it takes, not because a replica that lacks it became the leader.
    """
    common = {
        **RELIED_ON,
        "retention.bytes": "-1",
        "unclean.leader.election.enable": "false",
        "segment.ms": str(settings.segment_hours * HOUR_MS),
        "segment.bytes": str(64 * 1024 * 1024),
        "max.message.bytes": str(settings.message_max_bytes),
    }
    names = settings.names
    hours = {
        names.answers: settings.answer_retention_hours,
        names.outcomes: settings.answer_retention_hours,
        names.requests: settings.request_retention_hours,  # the last: a request needs the partition of its answer
    }
    return {topic: common | {"retention.ms": str(hours[topic] * HOUR_MS)} for topic in hours}


def differing(wanted: Mapping[str, str], found: Mapping[str, str]) -> dict[str, str]:
    """What of a ``wanted`` configuration has to be set; a broker that takes larger records than asked for is right."""

    def holds(name: str) -> bool:
        if name == "max.message.bytes" and name in found:
            return int(found[name]) >= int(wanted[name])
        return found.get(name) == wanted[name]

    return {name: value for name, value in wanted.items() if not holds(name)}


def unfit(access: KafkaAccess, names: StackNames) -> list[str]:
    """
    What of the topics of requests and answers a server cannot rely on, as sentences; raises Unavailable.

    Somebody may have altered them since they were made.
    """
    with connected(access) as admin:
        return differences(_found(admin, dict.fromkeys(names.pair)), names)


def differences(found: Mapping[str, TopicState], names: StackNames) -> list[str]:
    """The same of topics as they were ``found``; a user to whom Kafka tells no configuration finds an empty one."""
    problems = [
        f"topic {name}: {setting} must be {value}; got {topic.configuration.get(setting, UNKNOWN)}"
        for name, topic in found.items()
        for setting, value in differing(RELIED_ON, topic.configuration).items()
    ]
    try:
        asked, kept = (found[name].configuration for name in names.pair)
        longest, least = int(asked["retention.ms"]) + int(asked["segment.ms"]), int(kept["retention.ms"])
    except KeyError:
        return [*problems, f"the retention of {' and '.join(names.pair)} must be known; got {UNKNOWN}"]
    if least != FOR_EVER and (int(asked["retention.ms"]) == FOR_EVER or least <= longest):
        problems.append(
            f"topic {names.answers}: retention.ms must be more than {longest}, how long requests stay; got {least}"
        )
    return problems


def make(access: KafkaAccess, settings: TopicSettings) -> None:
    """
    Make the topics that are missing and set what differs in the others; return when all is as it must be.

    Raises Unavailable while something is being made or set or the broker does not answer, SettingsError with every
    difference when one of them cannot be mended, or when the user may not do it.
    """
    with connected(access) as admin, _allowed(access, settings.names):
        wanted = configurations(settings)
        found = _found(admin, wanted)
        if missing := wanted.keys() - found.keys():
            options = {"num_partitions": settings.partitions, "replication_factor": -1}
            _create(admin, {name: {**options, "configs": wanted[name]} for name in missing})
            names = ", ".join(sorted(missing))
            raise Unavailable(f"topics must be there; got none of {names} yet; they are being made")
        changes = {name: differing(wanted[name], found[name].configuration) for name in wanted}
        _refuse_fewer_partitions(settings.partitions, found, changes)
        _set(admin, {name: change for name, change in changes.items() if change}, found)
        _enlarge(admin, settings.partitions, found)


def make_for_rehearsal(access: KafkaAccess, names: StackNames, partitions: int) -> None:
    """
    Make the two topics in which a standby asks itself, unless they are there; raises Unavailable.

    What is in them is of no use to anybody, and stays for an hour.
    """
    _make_missing(access, names.pair, partitions, {**RELIED_ON, "retention.ms": str(HOUR_MS)})


def make_for_live_metrics(access: KafkaAccess, names: StackNames) -> None:
    """
    Make the topic of the live figures, of one partition, unless it is there; raises Unavailable.

    Of each version and window the newest record stays, for a month.
    """
    kept = {**RELIED_ON, "cleanup.policy": "compact,delete", "retention.ms": str(30 * 24 * HOUR_MS)}
    _make_missing(access, [names.live_metrics], 1, kept)


def _make_missing(access: KafkaAccess, topics: Sequence[str], partitions: int, configs: Mapping[str, str]) -> None:
    options = {"num_partitions": partitions, "replication_factor": -1, "configs": configs}
    with connected(access) as admin:
        found = _found(admin, dict.fromkeys(topics))
        _create(admin, {name: options for name in topics if name not in found})


def ids(access: KafkaAccess, names: Sequence[str]) -> list[str]:
    """The id of each topic, which another of the same name has not; raises Unavailable when one is not there."""
    with connected(access) as admin:
        told = {topic["name"]: topic for topic in admin.describe_topics(list(names))}
    if missing := [name for name in names if name not in told or told[name]["error_code"]]:
        raise Unavailable(f"topics must be there; got none of {', '.join(missing)} yet; wait, or see the log of kafka")
    return [str(told[name]["topic_id"]) for name in names]


@contextmanager
def connected(access: KafkaAccess) -> Iterator[KafkaAdminClient]:
    """A client that asks and sets; raises Unavailable, and so does the block when the broker is away or refuses."""
    # Short, because a broker that still starts accepts a connection and then says nothing for a while.
    patience = {"bootstrap_timeout_ms": ANSWER_MS, "request_timeout_ms": ANSWER_MS, "reconnect_backoff_max_ms": 200}
    try:
        admin = KafkaAdminClient(**access.python(), **patience)
        try:
            yield admin
        finally:
            admin.close()
    except KafkaError as error:
        raise Unavailable(f"Kafka must answer at {access.brokers}; got {error}; is the stack up?") from error


@contextmanager
def _allowed(access: KafkaAccess, names: StackNames) -> Iterator[None]:
    """Raise SettingsError where the broker says that the user may not do it: waiting does not help."""
    try:
        yield
    except AuthorizationError as error:
        raise SettingsError(
            f"user {access.user or 'nobody'} must be allowed to create, describe and alter the topics "
            f"{names.requests}, {names.answers} and {names.outcomes}; got {error.message}; allow it, or make the topics"
        ) from error


def _create(admin: KafkaAdminClient, topics: Mapping[str, Mapping[str, object]]) -> None:
    """Make topics that were not found; one may be there, for a broker does not list at once what it has made."""
    for name, options in topics.items():
        with suppress(TopicAlreadyExistsError):
            admin.create_topics({name: options})


def _found(admin: KafkaAdminClient, names: Mapping[str, object]) -> dict[str, TopicState]:
    """Those of ``names`` that are there, in their order."""
    there = {
        topic["name"]: len(topic["partitions"])
        for topic in admin.describe_topics(list(names))
        if not topic["error_code"]
    }
    asked = [ConfigResource(ConfigResourceType.TOPIC, name) for name in there]
    said = admin.describe_configs(asked, config_filter=ConfigFilterType.ALL).get("topic", {}) if asked else {}
    return {
        name: TopicState(there[name], {key: one["value"] for key, one in said.get(name, {}).items()})
        for name in names
        if name in there
    }


def _sentences(changes: Mapping[str, Mapping[str, str]], found: Mapping[str, TopicState]) -> list[str]:
    return [
        f"topic {topic}: {name} must be {value}; got {found[topic].configuration.get(name, 'nothing')}"
        for topic, change in changes.items()
        for name, value in change.items()
    ]


def _refuse_fewer_partitions(
    wanted: int, found: Mapping[str, TopicState], changes: Mapping[str, Mapping[str, str]]
) -> None:
    larger = [
        f"topic {name} must have {wanted} partitions; got {topic.partitions}; partitions cannot be taken away: "
        "edit delivery.partitions in stack/stack.yaml, or remove the topics (./baton reset where Kafka is the stack's)"
        for name, topic in found.items()
        if topic.partitions > wanted
    ]
    if larger:
        raise SettingsError("\n".join([*larger, *_sentences(changes, found)]))


def _set(admin: KafkaAdminClient, changes: Mapping[str, Mapping[str, str]], found: Mapping[str, TopicState]) -> None:
    if not changes:
        return
    asked = [ConfigResource(ConfigResourceType.TOPIC, name, dict(change)) for name, change in changes.items()]
    said = admin.alter_configs(asked, raise_on_unknown=False)["topic"]
    if refused := {name: said[name] for name in changes if said[name] != TAKEN}:
        answers = "; ".join(f"{name}: {answer}" for name, answer in refused.items())
        advice = f"Kafka does not let them be set ({answers}): set them yourself, by kafka-configs.sh --alter"
        raise SettingsError("\n".join([*_sentences({name: changes[name] for name in refused}, found), advice]))
    raise Unavailable(f"{'; '.join(_sentences(changes, found))}; they are being set")


def _enlarge(admin: KafkaAdminClient, wanted: int, found: Mapping[str, TopicState]) -> None:
    """One topic at a time, in the order of ``found``."""
    for name, topic in found.items():
        if topic.partitions < wanted:
            admin.create_partitions({name: wanted})
            raise Unavailable(
                f"topic {name} must have {wanted} partitions; got {topic.partitions}; more are being made"
            )


def wait_until_made(access: KafkaAccess, settings: TopicSettings, say: Callable[[str], None] = lambda _: None) -> None:
    """Try until the topics are as they must be; ``say`` is told why they are not yet. Raises DeadlineMissed."""
    problem = ""

    def made() -> bool:
        nonlocal problem
        try:
            make(access, settings)
        except Unavailable as error:
            if str(error) != problem:
                say(str(error))
            problem = str(error)
            return False
        return True

    waiting.wait_until(made, settings.deadline_s, lambda: problem)


def work(settings: TopicSettings, log: BoundLogger) -> int:
    """Make the topics, or say what is wrong with them."""
    wait_until_made(settings.kafka_access, settings, lambda reason: log.info("not yet", reason=reason))
    log.info("the topics are there", partitions=settings.partitions)
    return DONE


if __name__ == "__main__":
    sys.exit(entry.run("topics", TopicSettings, work, failed="the topics are not there"))
