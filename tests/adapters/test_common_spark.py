"""The ports of the two Spark sessions, as any user of the machine reaches them."""

import socket
import struct

import psutil
import pytest

from apps.prediction_server import session as server
from apps.prediction_server.settings import RescoreSettings
from apps.trainer import session as trainer
from apps.trainer.settings import TrainerSettings
from stack.java import jars

CALL = 3  # of Spark's own protocol: a request, its number, the length of its body
FRAME = struct.Struct(">q")


def trainers(folder):
    """The session of a trainer."""
    return trainer.start(TrainerSettings(batch="none", spark_master="local[1]", driver_memory="512m", scratch=folder))


def servers(folder):
    """The session of a server and of the rescorer."""
    told = {"spark_jars": jars("spark-kafka"), "spark_master": "local[1]", "heap": "512m"}
    return server.start(RescoreSettings(versions="", out=folder, scratch=folder, **told), "test")


def answer(port):
    """What a stranger is told who asks."""
    body = b"who is there?"
    call = struct.pack(">bqi", CALL, 1, len(body)) + body
    with socket.create_connection(("127.0.0.1", port), 10) as stranger:
        stranger.settimeout(10)
        stranger.sendall(FRAME.pack(FRAME.size + len(call)) + call)
        return stranger.recv(1000).decode(errors="replace")


@pytest.mark.parametrize("start", [trainers, servers])
def test_a_driver_talks_to_nobody_without_its_secret(tmp_path, start):
    """Each port that it opens asks for the secret first, which is on no command line and in no environment."""
    spark = start(tmp_path)
    try:
        inside = spark.sparkContext._jvm.org.apache.spark.SparkEnv.get()  # noqa: SLF001 - Spark shows it nowhere else
        secret = inside.securityManager().getSecretKey()
        ports = [int(spark.conf.get("spark.driver.port")), inside.blockManager().blockManagerId().port()]
        jvm = next(one for one in psutil.Process().children(recursive=True) if one.name() == "java")

        assert ["Expected SaslMessage" in answer(port) for port in ports] == [True, True]
        assert not [text for text in (*jvm.cmdline(), *jvm.environ().values()) if secret in text]
        assert 4950 == spark.range(100).selectExpr("sum(id)").first()[0]
    finally:
        spark.stop()
