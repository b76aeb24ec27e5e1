"""What must hold of the topics, and what of it has to be set."""

import pytest

from apps.common.errors import SettingsError
from apps.common.names import StackNames
from apps.common.settings import load
from apps.common.topics import TopicSettings, TopicState, configurations, differences, differing

TOLD = {
    "partitions": 2,
    "request_retention_hours": 24,
    "answer_retention_hours": 72,
    "segment_hours": 1,
    "message_max_bytes": 2_000_000,
}
NAMES = StackNames("baton", "used_cars")
WANTED = configurations(TopicSettings(**TOLD))


@pytest.mark.parametrize("topic", [NAMES.requests, NAMES.answers, NAMES.outcomes])
def test_a_record_goes_when_its_time_is_over_and_for_no_other_reason(topic):
    """No topic is compacted, bounded in bytes, led by a replica that lacks records, or dated by a client's clock."""
    promise = {
        "cleanup.policy": "delete",
        "retention.bytes": "-1",
        "unclean.leader.election.enable": "false",
        "message.timestamp.type": "LogAppendTime",
    }

    assert promise.items() <= WANTED[topic].items()


def test_an_answer_is_kept_longer_than_its_request():
    """Each topic is kept for as long as the settings say, in milliseconds."""
    kept = {topic: int(configuration["retention.ms"]) // 3_600_000 for topic, configuration in WANTED.items()}

    assert {NAMES.requests: 24, NAMES.answers: 72, NAMES.outcomes: 72} == kept


def test_answers_get_partitions_before_requests_do():
    """The order in which topics are enlarged: a request never stands in a partition that has none for its answer."""
    assert list(WANTED).index(NAMES.answers) < list(WANTED).index(NAMES.requests)


def test_settings_under_which_a_request_outlives_its_answer_are_refused(monkeypatch):
    """A request may stay for its retention and one segment more; its answer must be there for longer."""
    for name, value in (TOLD | {"answer_retention_hours": 25}).items():
        monkeypatch.setenv(f"BATON_{name.upper()}", str(value))

    with pytest.raises(SettingsError, match=r"must be more than 25 .*; got 25"):
        load(TopicSettings)


def test_what_differs_is_set_and_nothing_else():
    """Whatever a topic says beside what is wanted is its owner's."""
    wanted = WANTED[NAMES.requests]
    found = wanted | {"cleanup.policy": "compact", "compression.type": "gzip"}

    assert {} == differing(wanted, wanted | {"compression.type": "gzip"})
    assert {"cleanup.policy": "delete"} == differing(wanted, found)


@pytest.mark.parametrize(("found", "is_set"), [(1_999_999, True), (2_000_000, False), (30_000_000, False)])
def test_a_topic_may_take_larger_records_than_are_needed(found, is_set):
    """The size of a record is a least: a topic that takes more is left as it is."""
    wanted = WANTED[NAMES.requests]

    assert is_set == ("max.message.bytes" in differing(wanted, wanted | {"max.message.bytes": str(found)}))


def test_what_a_broker_does_not_say_is_set():
    """A broker that says nothing of a topic is told all of it."""
    assert WANTED[NAMES.answers] == differing(WANTED[NAMES.answers], {})


def found(requests, answers):
    """The two topics with these configurations, over what is wanted of them."""
    wanted = {name: dict(WANTED[name]) for name in NAMES.pair}
    return {
        name: TopicState(2, wanted[name] | more) for name, more in zip(NAMES.pair, (requests, answers), strict=True)
    }


@pytest.mark.parametrize(
    ("requests", "answers", "words"),
    [
        ({}, {}, None),
        ({"cleanup.policy": "compact"}, {}, "prediction-requests: cleanup.policy must be delete; got compact"),
        ({}, {"message.timestamp.type": "CreateTime"}, "predictions: message.timestamp.type must be LogAppendTime"),
        ({}, {"retention.ms": "3600000"}, "predictions: retention.ms must be more than"),
        ({"retention.ms": "-1"}, {}, "predictions: retention.ms must be more than"),
        ({"retention.ms": "-1"}, {"retention.ms": "-1"}, None),
    ],
)
def test_what_a_server_cannot_rely_on_is_named(requests, answers, words):
    """Each by itself; topics as they were made have none."""
    problems = differences(found(requests, answers), NAMES)
    assert (words is None) == (not problems)
    assert words is None or words in problems[0]


def test_a_broker_that_does_not_tell_a_configuration_is_no_error():
    """A user without that right: what is not known is said to be unknown."""
    problems = differences({name: TopicState(2, {}) for name in NAMES.pair}, NAMES)
    assert "must be known; got nothing" in problems[-1]
    assert ["does not tell" in problem for problem in problems] == [True] * 5
