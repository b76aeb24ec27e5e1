"""
``python -m apps.gateway``: answers HTTP until it is told to end; then it takes nothing new, and leaves once what is in
flight is answered or ``drain_s`` seconds are over.

It keeps nothing of its own. A kill at any moment costs the connections of those who waited: their requests stand in
Kafka and are answered, and the next gateway, or another one, reads what was asked and answered from the topics.
"""

import asyncio
import signal
import socket
import time
from collections.abc import Callable
from contextlib import closing

import uvicorn
from confluent_kafka import KafkaException
from fastapi import FastAPI
from structlog.stdlib import BoundLogger
from uvicorn.protocols.http.h11_impl import H11Protocol

from apps import datasets
from apps.common import entry
from apps.common.crash import crash
from apps.common.errors import Unavailable
from apps.common.exit_codes import DONE
from apps.common.exposition import Exposition
from apps.common.ready_file import BEAT_S, ReadyFile, beating, heartbeat
from apps.common.settings import option
from apps.common.waiting import pause
from apps.gateway.answer_cache import AnswerCache
from apps.gateway.app import application
from apps.gateway.asking import ENDS, Asking, Caching
from apps.gateway.cache_store import CacheStore
from apps.gateway.counts import figures
from apps.gateway.doors import Doors
from apps.gateway.reader import LogReader, unreadable
from apps.gateway.sender import RecordSender
from apps.gateway.settings import GatewaySettings

HEADER_S = 10  # for the header of a request to come as a whole
CONNECTIONS = 100  # beside those of requests in flight, one row each; beyond it uvicorn says 503
LOOK_S = 2  # at whether Kafka answers, and how many partitions there are


def main() -> None:
    """Answer until the process is ended."""
    for number in (signal.SIGTERM, signal.SIGINT):  # uvicorn takes them over while it serves, and gives them back
        signal.signal(number, lambda *_: crash(DONE))
    crash(entry.run("gateway", GatewaySettings, work, failed="the gateway ends"))


def work(settings: GatewaySettings, log: BoundLogger) -> int:
    """Serve; returns only by a signal, or raises when the topics cannot be followed any more."""
    with closing(_bound(settings)) as listening:
        asyncio.run(_Gateway(settings, log).serve(listening))
    return DONE


def _bound(settings: GatewaySettings) -> socket.socket:
    """
    The socket, on which nothing is accepted yet; raises Unavailable when the port is taken.

    asyncio sends at once only on a socket that says it is TCP; on others an answer waits 40 ms for an acknowledgement.
    """
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((settings.gateway_host, settings.gateway_port))
    except OSError as error:
        listening.close()
        place = f"{settings.gateway_host}:{settings.gateway_port}"
        message = f"{place} must be free; got {error.strerror}; end what has it, or {option('gateway', 'off')}"
        raise Unavailable(message) from error
    return listening


class PromptProtocol(H11Protocol):
    """
    A connection on which a request must begin: uvicorn itself would wait for ever for the end of a header.

    Bodies have their own time (``bodies.read``), and so has an idle connection that was used before (uvicorn's).
    """

    begins: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """As uvicorn has it."""
        super().connection_made(transport)
        self._wait_for_header()

    def on_response_complete(self) -> None:
        """As uvicorn has it."""
        super().on_response_complete()
        self._wait_for_header()

    def connection_lost(self, exc: Exception | None) -> None:
        """As uvicorn has it."""
        super().connection_lost(exc)
        if self.begins:
            self.begins.cancel()

    def _wait_for_header(self) -> None:
        if self.begins:
            self.begins.cancel()
        self.begins = self.loop.call_later(HEADER_S, self._require_header)

    def _require_header(self) -> None:
        if self.cycle is None or self.cycle.response_complete:
            self.transport.close()


def served_by(app: FastAPI, settings: GatewaySettings) -> uvicorn.Server:
    """The server, which stays for what is in flight when it is told to end."""
    config = uvicorn.Config(
        app,
        http=PromptProtocol,
        limit_concurrency=settings.in_flight + CONNECTIONS,
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="off",
        timeout_graceful_shutdown=settings.drain_s,
    )
    return uvicorn.Server(config)


def when_topics_are_there(
    sender: Callable[[], RecordSender], settings: GatewaySettings, log: BoundLogger
) -> RecordSender:
    """The sender, once there are topics to send to: in a new stack they are made while this starts."""
    said = False
    while True:
        with beating(settings.ready_file):
            try:
                return sender()
            except Unavailable as error:
                if not said:
                    log.warning("waits for Kafka and its topics", reason=str(error))
                said = True
            pause(LOOK_S)


def break_off(server: uvicorn.Server) -> None:
    """Let each door that is at work answer that the gateway ends; nothing else would come."""
    for task in server.server_state.tasks:
        task.cancel()


class _Gateway:
    """One process' loop: the doors, what was read, and what is told of both."""

    def __init__(self, settings: GatewaySettings, log: BoundLogger) -> None:
        self.settings = settings
        self.log = log
        self.failure: Exception | None = None

    async def serve(self, listening: socket.socket) -> None:
        settings, names = self.settings, self.settings.names
        loop = asyncio.get_running_loop()
        dataset = datasets.get(settings.dataset)
        store = CacheStore(settings.cache_access, self.log) if settings.cache == "on" else None
        self.sender = when_topics_are_there(
            lambda: RecordSender(settings.kafka_access, names, loop, self._fail), settings, self.log
        )
        with beating(settings.ready_file):
            reader = LogReader(settings.kafka_access, names, self.log)
            cache = AnswerCache(names, dataset.column_names, store) if store else None
            caching = Caching(cache, self.sender.cached) if cache else None
            self.asking = Asking(settings, self.sender.request, reader.begin(settings.remember_s), caching)
            self.partitions = self.sender.partitions()
            doors = Doors(settings, names, dataset, self.asking, self.sender)
            app = application(doors, self.log)
        told = Exposition(list).start(settings, self.log)
        self.server = served_by(app, settings)
        reader.start(loop, self.asking.take, self._fail)
        beside = [asyncio.create_task(one) for one in (self._beat(told, doors), self._look())]
        beside += [asyncio.create_task(store.run())] if store else []
        await self.server.serve([listening])
        for one in beside:
            one.cancel()
        if self.failure:
            raise unreadable(self.failure)

    def _fail(self, error: Exception) -> None:
        """Nothing more can be read or sent: end, and begin anew; what is in flight is told so, and to come again."""
        if self.failure:
            return
        self.failure = error
        self.asking.ended = f"{ENDS}, and begins anew; wait"
        self.server.should_exit = True
        break_off(self.server)

    async def _beat(self, told: Exposition, doors: Doors) -> None:
        """Each second: the sign of life, the figures, and a line in the log when something changed."""
        asking, ready, probed, following = self.asking, False, False, False
        while True:
            heartbeat(self.settings.ready_file).touch()
            snapshot = figures(doors.counts, asking)
            told.told = lambda snapshot=snapshot: snapshot  # type: ignore[misc]
            if not following and not asking.unread:
                following = True
                ReadyFile(0, "", "watching").write(self.settings.ready_file)
                self.log.info("watching", address=f"{self.settings.gateway_host}:{self.settings.gateway_port}")
            progress, reason = asking.progress, asking.waits_for()
            if following and not probed and progress.serving() is None and progress.waiting_since() is None:
                probed = True
                asking.probe()
            if following and ready == bool(reason):
                ready = not reason
                self.log.info("ready") if ready else self.log.warning("not ready", reason=reason)
            await asyncio.sleep(BEAT_S)

    async def _look(self) -> None:
        """Whether Kafka answers; partitions that nobody reads end the process, and the next one reads them."""
        while True:
            try:
                found = await asyncio.to_thread(self.sender.partitions)
            except (KafkaException, KeyError) as error:
                self.log.warning("Kafka does not answer", reason=str(error))
            else:
                self.asking.heard_at = time.monotonic()
                if found > self.partitions:
                    rule = f"all partitions must be read; got {found} instead of {self.partitions}"
                    self._fail(Unavailable(f"{rule}; the gateway begins anew with all"))
            await asyncio.sleep(LOOK_S)


if __name__ == "__main__":
    main()
