"""How the gateway ends: what is in flight is answered first, for a bounded time."""

import asyncio
import http.client
import json
import socket
import threading
import time
from contextlib import closing, contextmanager

import pytest
import structlog
import uvicorn

from apps.common.errors import Unavailable
from apps.common.ready_file import heartbeat
from apps.common.waiting import wait_until
from apps.gateway import __main__ as module
from apps.gateway.__main__ import _bound, _Gateway, break_off, served_by
from apps.gateway.app import application
from tests.unit.gateway_by_hand import INFER, LogByHand, settings

READY_S = 10
BODY = json.dumps({"id": "a", "inputs": [{"name": "rm", "datatype": "FP64", "shape": [1], "data": [6.5]}]})


def free_port():
    """One that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def in_flight(told):
    """A server with a request that waits for its answer: the log, the server, its thread, and what the client got."""
    log = LogByHand(told)
    log.answering = False
    loops, got = [], []
    server = served_by(application(log.doors(told), structlog.testing.CapturingLogger()), told)
    send = log.asking.send
    log.asking.send = lambda *what: (loops.append(asyncio.get_running_loop()), send(*what))

    def ask():
        with closing(http.client.HTTPConnection("127.0.0.1", told.gateway_port, timeout=READY_S)) as connection:
            connection.request("POST", INFER, BODY)
            response = connection.getresponse()
            got.append((response.status, response.headers["Retry-After"], json.loads(response.read())))

    with closing(_bound(told)) as listening:
        serving = threading.Thread(target=server.run, args=([listening],))
        serving.start()
        wait_until(lambda: server.started, READY_S, "it must serve")
        asking = threading.Thread(target=ask)
        asking.start()
        wait_until(lambda: log.sent, READY_S, "the request must be sent")
        yield log, server, loops[0], serving, got
        asking.join(READY_S)
        serving.join(READY_S)


def test_what_is_in_flight_is_answered_before_it_leaves(tmp_path):
    """
    From the moment it is told to end it takes nothing new, and stays until the answer has come.
    """
    told = settings(tmp_path, gateway_port=free_port(), timeout_s=60)
    with in_flight(told) as (log, server, loop, serving, got):
        server.should_exit = True
        wait_until(lambda: not server.servers[0].is_serving(), READY_S, "it must take nothing new")
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", told.gateway_port), 1)
        assert serving.is_alive()
        loop.call_soon_threadsafe(log.answer_all)

    assert [200] == [status for status, *_ in got]
    assert not serving.is_alive()


def test_it_leaves_when_the_time_for_what_is_in_flight_is_over(tmp_path):
    """
    The request stands in Kafka: whoever waited for it asks the next gateway.
    """
    told = settings(tmp_path, gateway_port=free_port(), timeout_s=60, drain_s=1)
    began = time.monotonic()
    with in_flight(told) as (_, server, _, serving, got):
        server.should_exit = True

    assert not serving.is_alive()
    assert time.monotonic() - began < READY_S
    assert_ends(got)


def assert_ends(got):
    """The one client is told by whom to come again, and of which id."""
    ((status, after, body),) = got
    assert (503, "1", ["a"]) == (status, after, body["ids"])
    assert "the gateway must stay until it has answered; it ends" in body["error"]


def test_a_gateway_that_fails_tells_what_is_in_flight_at_once(tmp_path):
    """
    No answer can be read any more: nobody waits for the end of the drain, and nothing new is taken.
    """
    told = settings(tmp_path, gateway_port=free_port(), timeout_s=60, drain_s=60)
    began = time.monotonic()
    with in_flight(told) as (log, server, loop, serving, got):
        gateway = _Gateway(told, structlog.testing.CapturingLogger())
        gateway.server, gateway.asking = server, log.asking
        loop.call_soon_threadsafe(gateway._fail, Unavailable("the topics must be read"))  # noqa: SLF001 - as the reader

    assert not serving.is_alive()
    assert time.monotonic() - began < READY_S
    assert_ends(got)
    assert "it ends, and begins anew" in log.asking.waits_for()


def test_a_door_that_is_broken_off_while_it_reads_says_so_too(tmp_path):
    """
    There is no id yet; what is left is that the gateway ends.
    """
    told = settings(tmp_path, gateway_port=free_port(), timeout_s=60, drain_s=60)
    place = "127.0.0.1", told.gateway_port
    with in_flight(told) as (_, server, loop, _, _), closing(socket.create_connection(place, READY_S)) as half:
        half.sendall(f"POST {INFER} HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n[".encode())
        wait_until(lambda: len(server.server_state.tasks) == 2, READY_S, "both must be at work")
        server.should_exit = True
        loop.call_soon_threadsafe(break_off, server)
        response = http.client.HTTPResponse(half)
        response.begin()
        body = response.read()

    assert (503, "1") == (response.status, response.headers["Retry-After"])
    assert b"it ends; ask again" in body


def test_a_port_that_is_taken_is_named(tmp_path):
    """
    With what to do about it.
    """
    told = settings(tmp_path, gateway_port=free_port())
    with closing(_bound(told)) as first:
        first.listen()
        with pytest.raises(Unavailable, match=f"127.0.0.1:{told.gateway_port} must be free"):
            _bound(told)


def test_an_answer_does_not_wait_for_the_acknowledgement_of_its_headers(tmp_path):
    """
    A connection that the server takes sends at once: without that each answer on a kept connection takes 40 ms more.
    """
    told = settings(tmp_path, gateway_port=free_port())
    began = threading.Event()
    found = []

    class Watched(asyncio.Protocol):
        def connection_made(self, transport):
            taken = transport.get_extra_info("socket")
            found.append(taken.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            began.set()

    async def accept(listening):
        server = await asyncio.get_running_loop().create_server(Watched, sock=listening)
        with closing(socket.create_connection(("127.0.0.1", told.gateway_port))):
            await asyncio.to_thread(began.wait, READY_S)
        server.close()

    with closing(_bound(told)) as listening:
        asyncio.run(accept(listening))

    assert [True] == [bool(one) for one in found]


def test_the_server_says_nothing_of_itself(tmp_path):
    """
    Uvicorn is told how long to stay, and writes no log of its own.
    """
    config = served_by(None, settings(tmp_path, drain_s=7)).config

    assert isinstance(config, uvicorn.Config)
    assert (7, None, False) == (config.timeout_graceful_shutdown, config.log_config, config.server_header)


@contextmanager
def answering(told):
    """A server that answers at once; its port's address."""
    log = LogByHand(told)
    server = served_by(application(log.doors(told), structlog.testing.CapturingLogger()), told)
    with closing(_bound(told)) as listening:
        serving = threading.Thread(target=server.run, args=([listening],))
        serving.start()
        wait_until(lambda: server.started, READY_S, "it must serve")
        yield "127.0.0.1", told.gateway_port
        server.should_exit = True
        serving.join(READY_S)


@pytest.mark.parametrize("silent", [b"", b"GET /ping HTTP/1.1\r\nHo", b"GET /ping HTTP/1.1\r\nHost: x\r\n\r\nGET /p"])
def test_a_connection_without_a_whole_header_is_closed(tmp_path, monkeypatch, silent):
    """
    From the start, in the midst of the first header, and of the next one behind an answer.
    """
    monkeypatch.setattr(module, "HEADER_S", 0.3)
    told = settings(tmp_path, gateway_port=free_port())
    with answering(told) as place, closing(socket.create_connection(place, READY_S)) as half:
        half.sendall(silent)
        got = b"".join(iter(lambda: half.recv(65536), b""))

    assert (silent.count(b"\r\n\r\n"), b"200 OK" in got) == (got.count(b"HTTP/1.1"), b"\r\n\r\n" in silent)


def test_a_connection_in_use_is_kept_and_a_request_may_take_longer_than_a_header(tmp_path, monkeypatch):
    """
    The time is that of a header only.
    """
    monkeypatch.setattr(module, "HEADER_S", 0.3)
    told = settings(tmp_path, gateway_port=free_port(), timeout_s=60)
    with in_flight(told) as (log, server, loop, _, got):
        time.sleep(0.6)  # noqa: TID251 - that nothing happens is the claim
        loop.call_soon_threadsafe(log.answer_all)
        wait_until(lambda: got, READY_S, "it must be answered")
        server.should_exit = True

    assert [200] == [status for status, *_ in got]


def test_connections_beyond_what_may_be_in_flight_are_turned_away(tmp_path, monkeypatch):
    """
    Each may hold a body; 503 is told at once.
    """
    monkeypatch.setattr(module, "CONNECTIONS", 1)
    told = settings(tmp_path, gateway_port=free_port(), in_flight=1)
    with (
        answering(told) as place,
        closing(socket.create_connection(place)),
        closing(http.client.HTTPConnection(*place, timeout=READY_S)) as second,
    ):
        second.request("GET", "/ping")
        assert 503 == second.getresponse().status


def test_a_gateway_waits_for_its_topics(tmp_path, monkeypatch):
    """
    It says so once, and gives signs of life meanwhile.
    """
    monkeypatch.setattr(module, "LOOK_S", 0.01)
    told, log = settings(tmp_path), structlog.testing.CapturingLogger()
    missing = [Unavailable("none yet")] * 2
    beats = []

    def sender():
        wait_until(heartbeat(told.ready_file).exists, READY_S, "it must give signs of life")
        heartbeat(told.ready_file).unlink()
        beats.append(1)
        if missing:
            raise missing.pop()
        return "the sender"

    assert "the sender" == module.when_topics_are_there(sender, told, log)
    assert 3 == len(beats)
    assert [{"reason": "none yet"}] == [call.kwargs for call in log.calls]
