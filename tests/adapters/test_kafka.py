"""The broker as people use it: with messages that are compressed."""

import pytest
from kafka import KafkaAdminClient, KafkaProducer
from kafka.admin import NewTopic


def store_compressed(kafka, topic, codec):
    """Send a message to a topic that is kept in a codec, whatever its senders use; where it was put."""
    admin = KafkaAdminClient(bootstrap_servers=kafka)
    admin.create_topics([NewTopic(topic, 1, 1, topic_configs={"compression.type": codec})])
    admin.close()
    producer = KafkaProducer(bootstrap_servers=kafka)
    kept = producer.send(topic, b"again and again " * 100).get(timeout=20)
    producer.close()
    return kept.offset


@pytest.mark.parametrize("codec", ["gzip", "lz4", "snappy", "zstd"])
def test_the_broker_can_compress_with_every_codec(kafka, codec):
    """A message that the broker itself must compress is taken."""
    assert 0 == store_compressed(kafka, f"taken-{codec}", codec)


def test_what_the_broker_unpacks_to_run_lies_in_its_own_folder(broker, kafka):
    """The machine's temporary folder may forbid to run code, and keeps what a killed broker left; it is not used."""
    codecs = ("lz4", "snappy")
    for codec in codecs:
        store_compressed(kafka, f"unpacked-{codec}", codec)
    unpacked = [path.name for path in (broker.context.state / "kafka" / "tmp").iterdir()]

    assert all(any(codec in name for name in unpacked) for codec in codecs), unpacked
