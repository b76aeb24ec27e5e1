"""The topics on a real broker: made, set right when a stranger made them, and enlarged."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from kafka import KafkaAdminClient
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.errors import KafkaError

from apps.common.errors import SettingsError, Unavailable
from apps.common.kafka_access import KafkaAccess
from apps.common.names import StackNames
from apps.common.topics import configurations, differing, make, make_for_rehearsal, unfit
from apps.common.waiting import wait_until
from stack.embedded.services.kafka import topic_settings
from tests.adapters.conftest import READY_S, Broker

NAMES = StackNames("baton", "used_cars")
TOPICS = (NAMES.requests, NAMES.answers, NAMES.outcomes)
FOREIGN = {
    "cleanup.policy": "compact",
    "message.timestamp.type": "CreateTime",
    "retention.ms": "3600000",
    "retention.bytes": "1000000",
    "unclean.leader.election.enable": "true",
    "max.message.bytes": "1000",
}


@pytest.fixture(scope="module")
def bare_broker(tmp_path_factory):
    """A broker without topics."""
    broker = Broker(tmp_path_factory.mktemp("kafka"))

    def answers():
        try:
            return KafkaAdminClient(bootstrap_servers=broker.address, bootstrap_timeout_ms=2000)
        except KafkaError:
            return None

    try:
        broker.start()
        wait_until(answers, READY_S, f"kafka is not ready; see {broker.context.log('kafka')}").close()
        yield broker
    finally:
        broker.kill()


@pytest.fixture
def settings(bare_broker):
    """What stack.yaml says of the topics: two partitions each."""
    return topic_settings("baton", bare_broker.context.stack.delivery)


@pytest.fixture
def admin(bare_broker):
    """A client of a broker that has none of the topics."""
    client = KafkaAdminClient(bootstrap_servers=bare_broker.address)
    client.delete_topics([topic for topic in TOPICS if topic in client.list_topics()])
    wait_until(lambda: not set(client.list_topics()) & set(TOPICS), READY_S, "the topics must go")
    yield client
    client.close()


def partitions(admin):
    """The number of partitions of each topic."""
    return {one["name"]: len(one["partitions"]) for one in admin.describe_topics(list(TOPICS))}


def configuration(admin, topic):
    """What the broker says of a topic."""
    said = admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)], config_filter="all")
    return {name: one["value"] for name, one in said["topic"][topic].items()}


def strangers_topics(admin, count, configs):
    """Make the topics as somebody else would, and wait until the broker has them."""
    options = {"num_partitions": count, "replication_factor": 1, "configs": configs}
    admin.create_topics(dict.fromkeys(TOPICS, options), wait_for_metadata=True)


def made(bare_broker, settings):
    """Make the topics; what each pass that was not the last said."""
    said = []

    def attempt():
        try:
            make(KafkaAccess(bare_broker.address), settings)
        except Unavailable as error:
            said.append(str(error))
            return False
        return True

    wait_until(attempt, READY_S, lambda: said[-1])
    return said


def test_topics_that_are_missing_are_made_as_they_must_be(bare_broker, admin, settings):
    """From nothing all three are there, with two partitions and every setting."""
    made(bare_broker, settings)

    assert dict.fromkeys(TOPICS, 2) == partitions(admin)
    for topic, wanted in configurations(settings).items():
        assert {} == differing(wanted, configuration(admin, topic))


def test_topics_of_a_stranger_are_set_right(bare_broker, admin, settings):
    """Whoever made them, and however: what must hold is set, and what the owner may choose is left."""
    strangers_topics(admin, 2, FOREIGN | {"compression.type": "gzip"})

    said = made(bare_broker, settings)

    for topic, wanted in configurations(settings).items():
        found = configuration(admin, topic)
        assert {} == differing(wanted, found)
        assert "gzip" == found["compression.type"]
        assert f"topic {topic}: cleanup.policy must be delete; got compact" in said[0]


def test_a_server_is_told_what_somebody_altered_since(bare_broker, admin, settings):
    """As they are made they are fit; what a promise of the server rests on is named when it does not hold."""
    made(bare_broker, settings)
    access = KafkaAccess(bare_broker.address)
    assert [] == unfit(access, NAMES)

    altered = {NAMES.requests: {"cleanup.policy": "compact"}, NAMES.answers: {"retention.ms": "3600000"}}
    admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, name, one) for name, one in altered.items()])

    def told():
        problems = unfit(access, NAMES)
        return problems if len(problems) == len(altered) else None

    compacted, short = wait_until(told, READY_S, lambda: str(unfit(access, NAMES)))
    assert f"topic {NAMES.requests}: cleanup.policy must be delete; got compact" == compacted
    assert f"topic {NAMES.answers}: retention.ms must be more than" in short


def test_more_partitions_are_made_for_answers_first(bare_broker, admin, settings):
    """Of two partitions come three, and at no moment has a request a partition that has none for its answer."""
    made(bare_broker, settings)

    said = made(bare_broker, settings.model_copy(update={"partitions": 3}))

    assert dict.fromkeys(TOPICS, 3) == partitions(admin)
    assert [f"topic {NAMES.answers} ", f"topic {NAMES.requests} "] == [
        topic
        for line in said
        for topic in (f"topic {NAMES.answers} ", f"topic {NAMES.requests} ")
        if line.startswith(topic)
    ]


def test_fewer_partitions_are_refused_with_everything_else_that_differs(bare_broker, admin, settings):
    """Partitions cannot be taken away; nothing is changed, and one message says all that is wrong."""
    strangers_topics(admin, 3, {"retention.ms": "1000"})

    with pytest.raises(SettingsError) as refused:
        made(bare_broker, settings)

    for topic in TOPICS:
        assert f"topic {topic} must have 2 partitions; got 3" in str(refused.value)
        assert f"topic {topic}: retention.ms must be" in str(refused.value)
        assert "1000" == configuration(admin, topic)["retention.ms"]


def test_what_the_broker_does_not_let_be_set_is_refused_in_one_message(bare_broker, admin, settings):
    """A change that the broker refuses is the person's to make: each difference is named, and what Kafka said."""
    made(bare_broker, settings)

    with pytest.raises(SettingsError) as refused:
        made(bare_broker, settings.model_copy(update={"message_max_bytes": 3_000_000_000}))

    assert all(f"topic {topic}: max.message.bytes must be 3000000000" in str(refused.value) for topic in TOPICS)
    assert "Kafka does not let them be set" in str(refused.value)


def test_topics_for_a_rehearsal_are_made_once_whoever_asks_and_kept_for_an_hour(bare_broker, admin, settings):
    """A standby that begins anew finds those of before, or that another made them between its look and its making."""
    names = settings.names.rehearsal
    with ThreadPoolExecutor(4) as standbys:
        tries = [standbys.submit(make_for_rehearsal, KafkaAccess(bare_broker.address), names, 3) for _ in range(4)]
    assert [None] * 4 == [one.result() for one in tries]
    wait_until(lambda: set(names.pair) <= set(admin.list_topics()), READY_S, "the topics must be there")
    make_for_rehearsal(KafkaAccess(bare_broker.address), names, 3)

    assert [3, 3] == [len(one["partitions"]) for one in admin.describe_topics(list(names.pair))]
    assert "3600000" == configuration(admin, names.answers)["retention.ms"]
