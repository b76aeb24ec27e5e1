"""A server that commits before it answers: what it holds when it is killed is never answered. Do not copy it."""

import sys
import time

from confluent_kafka import Consumer, Producer

bootstrap, requests, answers = sys.argv[1:]
group = {"group.id": f"{requests}.server", "group.instance.id": "server", "auto.offset.reset": "earliest"}
consumer = Consumer({"bootstrap.servers": bootstrap, "enable.auto.commit": False, **group})
producer = Producer({"bootstrap.servers": bootstrap})
consumer.subscribe([requests])
while True:
    if batch := [message for message in consumer.consume(100, 0.1) if message.error() is None]:
        consumer.commit(asynchronous=False)  # too early: from here on nobody will read these requests again
        for message in batch:
            time.sleep(0.005)  # its work
            producer.produce(answers, message.value(), message.key())
        producer.flush()
