"""A request over HTTP, against a real server on loopback: how far it came, and what is owed therefore."""

import socket
import subprocess
import sys
import threading
import time
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from apps.common.errors import Unavailable
from apps.common.waiting import wait_until
from loadtest.prover.history import read
from loadtest.prover.plan import PAYLOADS, POISON_EACH, Plan
from loadtest.prover.posting import Poster, headers_in, require_server
from stack.environment import ROOT, inherited

HOST = "127.0.0.1"
POISONED = POISON_EACH // 2  # the number of a request that is a poison


class Wilful(BaseHTTPRequestHandler):
    """Does what the request's body says: answers with that status, is slow, or breaks off."""

    def do_POST(self):
        said = self.rfile.read(int(self.headers["Content-Length"])).decode()
        if said == "slow":
            threading.Event().wait(1)
        if said in ("slow", "nothing"):
            return
        self.send_response(200 if said == "half" else int(said))
        text = f"{self.headers['X-Request-Id']} {self.headers['Token']}".encode()
        text = b"x" * int(self.headers.get("Trace", 0)) + text
        self.send_header("Content-Length", str(len(text) + (7 if said == "half" else 0)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_):
        """It is not asked for."""


@pytest.fixture
def server():
    """Its URL."""
    with ThreadingHTTPServer((HOST, 0), Wilful) as serving:
        threading.Thread(target=serving.serve_forever).start()
        yield f"http://{HOST}:{serving.server_port}/asked?x=1"
        serving.shutdown()


def posted(url, folder, said, number=0, **headers):
    """What was recorded of one request; the plan has a poison with the reason p-50."""
    plan = Plan("p", http=url, quiet_s=0.3, in_flight=1, poison=(("p-50", "x"),))
    plan.write(folder)
    with closing(Poster(plan, folder, headers)) as poster:
        poster.post(number, said.encode(), 0.0)
    return read(folder)


def test_a_response_of_2xx_is_the_answer(server, tmp_path):
    """The request is acknowledged, and the two name each other."""
    recorded = posted(server, tmp_path, "201", number=7)

    (send,), (answer,) = recorded.sends, recorded.named_answers()
    assert (True, "p-7", (0, 7)) == (send.acknowledged, answer.request_id, answer.position)
    assert (send.position, None, {}) == (answer.position, answer.rejection, recorded.unanswered)


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("503", "answered 503 Service Unavailable p-7 None"),
        ("400", "answered 400 Bad Request p-7 None"),
        ("302", "answered 302 Found p-7 None"),
        ("nothing", "RemoteDisconnected: Remote end closed connection without response"),
        ("half", "IncompleteRead: IncompleteRead(8 bytes read, 7 more expected)"),
        ("slow", "TimeoutError: timed out"),
    ],
)
def test_what_was_written_and_has_no_response_of_2xx_is_owed(server, tmp_path, said, why):
    """And what came instead is told."""
    recorded = posted(server, tmp_path, said, number=7)

    assert ([True], []) == ([send.acknowledged for send in recorded.owed()], recorded.answers)
    assert {"p-7": why} == recorded.unanswered


def test_a_poison_is_answered_by_a_rejection(server, tmp_path):
    """The status of a wrong request, and a text that must hold the reason."""
    (answer,) = posted(server, tmp_path, "422", POISONED).named_answers()

    assert f"422 Unprocessable Entity p-{POISONED} None" == answer.rejection


@pytest.mark.parametrize(("before", "found"), [(10, True), (198, True), (60_000, True), (70_000, False)])
def test_the_reason_of_a_rejection_is_looked_for_in_all_of_a_usual_response(server, tmp_path, before, found):
    """What is kept of it is short, and has the reason that was found."""
    (answer,) = posted(server, tmp_path, "422", POISONED, Trace=str(before)).named_answers()

    assert found is ("p-50" in answer.rejection)
    assert answer.rejection.startswith("422 Unprocessable Entity xxx")
    assert len(answer.rejection) < 300


def test_where_no_connection_is_no_server_took_the_request(tmp_path):
    """It is owed nothing."""
    with ThreadingHTTPServer((HOST, 0), Wilful) as gone:
        url = f"http://{HOST}:{gone.server_port}"
    (send,) = posted(url, tmp_path, "200").sends

    assert (False, True) == (send.acknowledged, send.refused)
    assert "Connection refused" in send.error


def test_nobody_knows_of_a_request_that_broke_while_it_was_written(tmp_path):
    """It is neither owed nor surely not there: a server that hangs up on a long one may have read enough."""
    with socket.create_server((HOST, 0)) as listening:
        hang_up = threading.Thread(target=lambda: [one.close() for one, _ in [listening.accept()]])
        hang_up.start()
        url = f"http://{HOST}:{listening.getsockname()[1]}"
        (send,) = posted(url, tmp_path, "x" * 50_000_000).sends

    assert (False, False) == (send.acknowledged, send.refused)
    assert "Connection reset by peer" in send.error or "Broken pipe" in send.error


def test_the_headers_of_a_file_are_sent(server, tmp_path):
    """Such as a token, which stands in no plan."""
    file = tmp_path / "headers.txt"
    file.write_text("Token: a:b\n\n")
    recorded = posted(server, tmp_path, "503", 7, **headers_in(file))

    assert {"p-7": "answered 503 Service Unavailable p-7 a:b"} == recorded.unanswered
    for text in ("", "no colon\n", ": nothing\n"):
        file.write_text(text)
        with pytest.raises(ValueError, match="no lines"):
            headers_in(file)


def test_a_server_that_takes_no_connection_is_named(server):
    """Before anything is sent; one that takes them is asked nothing."""
    require_server(Plan("p", http=server))
    with ThreadingHTTPServer((HOST, 0), Wilful) as gone:
        url = f"http://{HOST}:{gone.server_port}"

    with pytest.raises(Unavailable, match=f"the server must take connections at {url}; got .*refused"):
        require_server(Plan("p", http=url))


def post_until(folder, url, over, **plan):
    """The plan's history when its posting process was told to end, as soon as it is ``over`` or ended itself."""
    Plan("p", http=url, **{"rate": 100, "quiet_s": 5, **plan}).write(folder)
    (folder / PAYLOADS).write_text("slow\n")
    command = [sys.executable, "-m", "loadtest.prover.posting", str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT, env=inherited()) as process:
        wait_until(lambda: process.poll() is not None or over(read(folder)), 30, "it posts", every=0.05)
        _, told = process.communicate(timeout=30)
    return read(folder), told.decode(), process.returncode


@pytest.mark.parametrize("times", [0, 1], ids=["until the end", "until there was an answer"])
def test_when_no_request_more_may_be_under_way_is_written_down(server, tmp_path, times):
    """Else a server that stalls and a prover that sends nothing look alike."""
    began = time.time()
    recorded, told, code = post_until(
        tmp_path, server, lambda so_far: so_far.sends and len(so_far.held_back) >= times, in_flight=2
    )

    assert ("", 0) == (told, code)
    assert len(recorded.held_back) > times
    (since, until), *_ = recorded.held_back
    assert began < since < until < time.time()
    assert until - since > 0.5 or not times


def test_what_a_request_breaks_on_unexpectedly_ends_the_posting_with_its_text(server, tmp_path):
    """And is not lost with its thread, so that every request seems to be on its way."""
    _, told, code = post_until(tmp_path, f"{server}&no such", lambda _: False, in_flight=2)

    assert code != 0
    assert "InvalidURL: URL can't contain control characters" in told.splitlines()[-1]
