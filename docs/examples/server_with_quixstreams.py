"""A server of a library that knows nothing of Baton, quixstreams: it commits each second what it has answered."""

import sys
import time

from quixstreams import Application


def work(request: bytes) -> bytes:
    """What it answers."""
    time.sleep(0.005)
    return request


bootstrap, requests, answers = sys.argv[1:]
app = Application(
    broker_address=bootstrap,
    consumer_group=f"{requests}.server",
    consumer_extra_config={"group.instance.id": "server"},  # its next life need not wait for the end of this one's
    auto_offset_reset="earliest",
    commit_interval=1,
)
asked, answered = app.topic(requests, value_deserializer="bytes"), app.topic(answers, value_serializer="bytes")
app.dataframe(asked).apply(work).to_topic(answered)
app.run()
