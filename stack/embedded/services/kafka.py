"""A Kafka broker that is its own controller (KRaft), and the topics that the platform makes in it."""

import shutil
import uuid
from base64 import urlsafe_b64encode
from pathlib import Path

from apps.common.kafka_access import KafkaAccess
from apps.common.topics import TopicSettings
from apps.common.topics import make as make_topics
from stack.embedded.services.spec import ProcessSpec, StackContext
from stack.environment import HOST
from stack.java import jars, java_command
from stack.services import Delivery

NAME = "kafka"
HEAP = "-Xmx256m"
COMPILER = "-XX:TieredStopAtLevel=4"  # the thorough one, unlike the other daemons': requests wait for this process

LOGGING = (
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSS",
    "-Dorg.slf4j.simpleLogger.showThreadName=false",
)


def _properties(context: StackContext, data: str) -> str:
    ports, delivery = context.service(NAME).ports, context.stack.delivery
    broker, controller = f"{HOST}:{ports['broker']}", f"{HOST}:{ports['controller']}"
    settings = {
        "process.roles": "broker,controller",
        "node.id": 1,
        "controller.quorum.voters": f"1@{controller}",
        "listeners": f"BROKER://{broker},CONTROLLER://{controller}",
        "advertised.listeners": f"BROKER://{broker}",
        "inter.broker.listener.name": "BROKER",
        "controller.listener.names": "CONTROLLER",
        "listener.security.protocol.map": "BROKER:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "log.dirs": data,
        "auto.create.topics.enable": "false",
        "message.max.bytes": delivery.message_max_bytes,
        "num.partitions": delivery.partitions,
        "log.retention.check.interval.ms": 60_000,
        # One broker: nothing to copy, nobody to wait for.
        "offsets.topic.replication.factor": 1,
        "offsets.topic.num.partitions": 1,
        "transaction.state.log.replication.factor": 1,
        "transaction.state.log.min.isr": 1,
        "transaction.state.log.num.partitions": 1,
        "group.initial.rebalance.delay.ms": 0,
        # A broker that was killed may come back only when its old session is over; the default is 9 s.
        "broker.session.timeout.ms": 3000,
        "broker.heartbeat.interval.ms": 500,
        # Few threads and small buffers: the whole stack shares a small machine.
        "num.network.threads": 2,
        "num.io.threads": 4,
        "background.threads": 2,
        "num.recovery.threads.per.data.dir": 2,
        "log.cleaner.dedupe.buffer.size": 8 * 1024 * 1024,
        "log.index.size.max.bytes": 1024 * 1024,
    }
    return "".join(f"{name}={value}\n" for name, value in settings.items())


def topic_settings(stack: str, delivery: Delivery, **more: float) -> TopicSettings:
    """What stack.yaml says of the topics of the stack with the name ``stack``, and ``more`` as settings name it."""
    told = {**vars(delivery), "stack": stack, **more}
    return TopicSettings(**{name: told[name] for name in TopicSettings.model_fields if name in told})


def spec(context: StackContext) -> ProcessSpec:
    """How to run it."""
    folder, service = context.folder(NAME), context.service(NAME)
    data, unfinished, temporary = folder / "data", folder / "unfinished", folder / "tmp"
    classpath: list[Path | str] = [f"{jars(NAME)}/*"]

    def prepare() -> None:
        temporary.mkdir(exist_ok=True)
        (folder / "server.properties").write_text(_properties(context, data.name))
        if data.exists():
            return
        shutil.rmtree(unfinished, ignore_errors=True)
        (folder / "format.properties").write_text(_properties(context, unfinished.name))
        cluster = urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        tool = java_command("-Xmx64m", classpath, "kafka.tools.StorageTool", temporary, *LOGGING)
        context.run(NAME, [*tool, "format", f"--cluster-id={cluster}", "--config=format.properties"], folder)
        unfinished.rename(data)

    def command() -> list[str]:
        options = (COMPILER, *LOGGING)
        return [*java_command(HEAP, classpath, "kafka.Kafka", temporary, *options), "server.properties"]

    def probe() -> None:
        make_topics(KafkaAccess(service.address_at(HOST)), topic_settings(context.name, context.stack.delivery))

    return ProcessSpec(command, folder, probe=probe, prepare=prepare, grace_s=15)
