"""The same server, and it answers, flushes, then commits: what was not answered is read again, some of it twice."""

import sys
import time

from confluent_kafka import Consumer, Producer

bootstrap, requests, answers = sys.argv[1:]
group = {"group.id": f"{requests}.server", "group.instance.id": "server", "auto.offset.reset": "earliest"}
consumer = Consumer({"bootstrap.servers": bootstrap, "enable.auto.commit": False, **group})
producer = Producer({"bootstrap.servers": bootstrap, "enable.idempotence": True})
consumer.subscribe([requests])
while True:
    if batch := [message for message in consumer.consume(100, 0.1) if message.error() is None]:
        for message in batch:
            time.sleep(0.005)  # its work
            producer.produce(answers, message.value(), message.key())
        producer.flush()
        consumer.commit(asynchronous=False)  # only now: every answer is in Kafka
