"""
Kafka's wire with nothing in between: one socket per leader, one fetch in flight on each.

A latency is only as good as its clock. kafka-python's consumer hands each record from one thread to another and costs
about 0.7 ms of CPU per poll, which on two busy cores is more than the server under test takes; its protocol classes on
a plain socket cost a quarter of that. Brokers are reached without TLS or SASL, as this stack runs them.
"""

import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from kafka.errors import KafkaError, NoError, for_code
from kafka.protocol.consumer import FetchRequest, ListOffsetsRequest
from kafka.protocol.metadata import MetadataRequest
from kafka.protocol.parser import KafkaProtocol
from kafka.record import MemoryRecords

EARLIEST, LATEST = -2, -1
METADATA_VERSION, OFFSETS_VERSION, FETCH_VERSION = 4, 4, 11  # spoken by every broker since 2.3; topics go by name
FETCH_WAIT_MS = 500  # bounds an idle fetch only: with min_bytes 1 the broker answers at the first byte
FETCH_BYTES = 8 * 1024 * 1024
ANSWER_S = 5  # a broker that holds a request longer than this is treated as gone
CHUNK = 1024 * 1024

Address = tuple[str, int]


class Connection:
    """A socket to one broker that speaks Kafka's protocol; any trouble is an OSError or a KafkaError."""

    def __init__(self, address: Address) -> None:
        """Connect at once."""
        self._socket = socket.create_connection(address, ANSWER_S)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._protocol = KafkaProtocol(client_id="baton-answer-reader")
        self._asked_at: float | None = None

    def fileno(self) -> int:
        """For ``select``."""
        return self._socket.fileno()

    def close(self) -> None:
        """Let go of the socket."""
        self._socket.close()

    @property
    def idle(self) -> bool:
        """Whether no request is in flight; raises TimeoutError when one has been for too long."""
        if self._asked_at and time.monotonic() - self._asked_at > ANSWER_S:
            raise TimeoutError(f"the broker must answer within {ANSWER_S} s; it is silent")
        return self._asked_at is None

    def send(self, request: Any) -> None:
        """Put a request in flight."""
        self._protocol.send_request(request)
        self._socket.sendall(self._protocol.send_bytes())
        self._asked_at = time.monotonic()

    def receive(self) -> Any | None:
        """Take in what has arrived; return the response once it is whole."""
        data = self._socket.recv(CHUNK)
        if not data:
            raise ConnectionResetError("the broker closed the connection")
        for _, response in self._protocol.receive_bytes(data):
            self._asked_at = None
            return response
        return None

    def ask(self, request: Any) -> Any:
        """Send a request and wait for its response."""
        self.send(request)
        while (response := self.receive()) is None:
            pass
        return response


def addresses(kafka: str) -> list[Address]:
    """The brokers of ``host:port,host:port``."""
    split = [address.strip().rpartition(":") for address in kafka.split(",")]
    return [(host.strip("[]"), int(port)) for host, _, port in split]


def leaders(kafka: str, topic: str) -> dict[Address, list[int]]:
    """Which broker leads which partitions of ``topic``; raises while any partition has no leader."""
    request = MetadataRequest(
        version=METADATA_VERSION,
        topics=[MetadataRequest.MetadataRequestTopic(name=topic)],
        allow_auto_topic_creation=False,
    )
    response = _ask_any(addresses(kafka), request)
    brokers = {broker.node_id: (broker.host, broker.port) for broker in response.brokers}
    led: dict[Address, list[int]] = {}
    for described in response.topics:
        _check(described.error_code)
        for partition in described.partitions:
            _check(partition.error_code)
            led.setdefault(brokers[partition.leader_id], []).append(partition.partition_index)
    return led


def _ask_any(known: Sequence[Address], request: Any) -> Any:
    trouble: OSError | None = None
    for address in known:
        try:
            connection = Connection(address)
            try:
                return connection.ask(request)
            finally:
                connection.close()
        except OSError as error:
            trouble = error
    raise trouble or OSError("no broker address was given")


def offsets(connection: Connection, topic: str, partitions: Sequence[int], moment: int) -> dict[int, int]:
    """The EARLIEST or LATEST offset of each of ``partitions``, which this broker leads."""
    topic_type = ListOffsetsRequest.ListOffsetsTopic
    asked = [
        topic_type.ListOffsetsPartition(partition_index=number, current_leader_epoch=-1, timestamp=moment)
        for number in partitions
    ]
    request = ListOffsetsRequest(
        version=OFFSETS_VERSION, replica_id=-1, isolation_level=0, topics=[topic_type(name=topic, partitions=asked)]
    )
    answered = [partition for described in connection.ask(request).topics for partition in described.partitions]
    for partition in answered:
        _check(partition.error_code)
    return {partition.partition_index: partition.offset for partition in answered}


def fetch_request(topic: str, positions: Mapping[int, int]) -> Any:
    """A request for what stands at and after ``positions``; the broker holds it until there is something."""
    topic_type = FetchRequest.FetchTopic
    asked = [
        topic_type.FetchPartition(
            partition=number,
            current_leader_epoch=-1,
            fetch_offset=offset,
            log_start_offset=-1,
            partition_max_bytes=FETCH_BYTES,
        )
        for number, offset in positions.items()
    ]
    return FetchRequest(
        version=FETCH_VERSION,
        replica_id=-1,
        max_wait_ms=FETCH_WAIT_MS,
        min_bytes=1,
        max_bytes=FETCH_BYTES,
        isolation_level=0,
        session_id=0,
        session_epoch=-1,
        topics=[topic_type(topic=topic, partitions=asked)],
        forgotten_topics_data=[],
        rack_id="",
    )


def fetched(response: Any) -> Iterator[tuple[int, Any]]:
    """Yield (partition, record) in offset order; a compressed batch may begin before the offset asked for."""
    for described in response.responses:
        for partition in described.partitions:
            _check(partition.error_code)
            records = MemoryRecords(partition.records or b"")
            while records.has_next():
                for record in records.next_batch():
                    yield partition.partition_index, record


def _check(code: int) -> None:
    error = for_code(code)
    if error is not NoError:
        failure: KafkaError = error()
        raise failure
