"""What a reader of librdkafka asks before it reads a topic: its partitions, and where each begins and ends."""

import time

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from apps.common.waiting import pause

ANSWER_S = 10
AGAIN_S = 0.2
LEADERLESS = (KafkaError.NOT_LEADER_FOR_PARTITION, KafkaError.LEADER_NOT_AVAILABLE)


def partitions_of(consumer: Consumer, topic: str) -> list[TopicPartition]:
    """The partitions of a topic; raises KafkaException when it is not there."""
    described = consumer.list_topics(topic, ANSWER_S).topics[topic]
    if described.error:
        raise KafkaException(described.error)
    return [TopicPartition(topic, partition) for partition in described.partitions]


def ends_of(consumer: Consumer, place: TopicPartition) -> tuple[int, int]:
    """
    The first and the next offset of a partition; raises KafkaException.

    A topic that was just made has no leader for a moment, which is waited for.
    """
    until = time.monotonic() + ANSWER_S
    while True:
        try:
            return consumer.get_watermark_offsets(place, ANSWER_S)
        except KafkaException as error:
            if error.args[0].code() not in LEADERLESS or time.monotonic() > until:
                raise
            pause(AGAIN_S)
