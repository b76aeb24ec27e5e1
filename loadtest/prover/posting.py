"""
The posting process: each request is a POST on a connection of its own, sent on the plan's schedule, come what may.

How far a request came says what is owed. Without a connection no server took it. One whose connection broke while it
was written is unknown. One that was written is owed an answer, and only a response of 2xx is one; to a poison, of 4xx.
"""

import json
import socket
import ssl
import sys
import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import asdict
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path
from typing import TextIO
from urllib.parse import urlsplit, urlunsplit

from apps.common import starter
from apps.common.errors import BatonError, Unavailable
from apps.common.messages import UNNAMED, Answer
from apps.common.send_journal import FLUSH_S, SendWriter
from loadtest.prover.plan import ANSWERS, HELD_BACK, SENDS, UNANSWERED, Plan
from loadtest.prover.sending import payloads

CONNECT_S = 10
TOLD = 200  # characters of a response that are kept
LOOKED_IN = 65_536  # characters in which a rejection's reason is looked for
HEADERS = {"Content-Type": "application/json", "Connection": "close"}
REQUEST_ID = "X-Request-Id"


def connection(plan: Plan) -> HTTPConnection:
    """A new one, not connected yet; it goes through no proxy. Raises OSError where --ca is no certificate."""
    url = urlsplit(plan.http)
    host = url.hostname or ""
    if url.scheme == "https":
        context = ssl.create_default_context(cafile=plan.ca or None)
        return HTTPSConnection(host, url.port, timeout=CONNECT_S, context=context)
    return HTTPConnection(host, url.port, timeout=CONNECT_S)


def require_server(plan: Plan) -> None:
    """Raise Unavailable when the server takes no connection in CONNECT_S seconds; nothing is asked of it."""
    try:
        with closing(connection(plan)) as trial:
            trial.connect()
    except OSError as error:
        remedy = "is it up, is --http right, and does it want --ca?"
        raise Unavailable(f"the server must take connections at {plan.http}; got {error}; {remedy}") from error


def headers_in(file: Path) -> dict[str, str]:
    """Those of a file with lines of Name: value; raises OSError, ValueError."""
    lines = [line.partition(":") for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
    if not lines or not all(name.strip() and colon for name, colon, _ in lines):
        raise ValueError("it has no lines, or others")
    return {name.strip(): value.strip() for name, _, value in lines}


class _Nowhere(HTTPConnection):
    """Writes requests as any other, and sends nothing."""

    def send(self, data: object) -> None:
        """Drop it."""


def unsendable(url: str, headers: Mapping[str, str]) -> str:
    """Why no request can be written so; empty where one can. Nothing is sent."""
    try:
        host = urlsplit(url).hostname or ""
        host.encode("idna")  # as it is looked up
        _Nowhere(host).request("POST", _target(url), b"", {**HEADERS, **headers})
    except (ValueError, HTTPException) as error:
        return str(error)
    return ""


def _target(of_url: str) -> str:
    url = urlsplit(of_url)
    return urlunsplit(("", "", url.path or "/", url.query, ""))


class Poster:
    """Posts requests, from several threads at once, and writes down what became of each."""

    def __init__(self, plan: Plan, folder: Path, headers: Mapping[str, str]) -> None:
        """Nothing was sent yet; the journals are in ``folder``."""
        self._plan = plan
        self._headers = {**HEADERS, **headers}
        self._target = _target(plan.http)
        self._sends = SendWriter(folder / SENDS)
        self._answers, self._unanswered, self._held_back = (
            (folder / name).open("a", buffering=1, encoding="utf-8") for name in (ANSWERS, UNANSWERED, HELD_BACK)
        )
        self._lock = threading.Lock()
        self._free = threading.Semaphore(plan.in_flight)

    def take_place(self, stop: threading.Event) -> None:
        """Wait until one more may be under way, or ``stop``, and write down when none might; ``free_place`` ends it."""
        if self._free.acquire(blocking=False):
            return
        since = time.time()
        while not stop.is_set() and not self._free.acquire(timeout=FLUSH_S):
            self.flush()
        self._note(self._held_back, {"since": since, "until": time.time()})

    def free_place(self) -> None:
        """One less is under way."""
        self._free.release()

    def post(self, number: int, payload: bytes, due: float) -> None:
        """Send the request that was ``due`` then (``time.monotonic``), and wait for its answer, as long as is quiet."""
        key = self._plan.request_id(number)
        with self._lock:
            self._sends.sent(key, time.time(), time.monotonic() - due)
        with closing(connection(self._plan)) as one:
            if self._has_sent(one, key, payload):
                with self._lock:
                    self._sends.acked(key, 0, number)
                self._take_answer(one, key, number)

    def _has_sent(self, one: HTTPConnection, key: str, payload: bytes) -> bool:
        try:
            one.connect()
        except OSError as error:
            with self._lock:
                self._sends.broke(key, error, refused=True)
            return False
        try:
            one.request("POST", self._target, payload, {**self._headers, REQUEST_ID: key})
        except OSError as error:
            with self._lock:
                self._sends.broke(key, error)
            return False
        return True

    def _take_answer(self, one: HTTPConnection, key: str, number: int) -> None:
        sock: socket.socket = one.sock
        sock.settimeout(self._plan.quiet_s)
        try:
            response = one.getresponse()
            text = response.read().decode(errors="replace")  # all of it: half an answer is none
        except (OSError, HTTPException) as error:
            self._note(self._unanswered, {"key": key, "why": f"{type(error).__name__}: {error}"})
            return
        said = f"{response.status} {response.reason} {text}".strip()
        reason = self._plan.reason_of(key)
        answered = response.status // 100 == 2  # noqa: PLR2004 - so HTTP says that it went well
        rejected = response.status // 100 == 4 and reason is not None  # noqa: PLR2004
        if answered or rejected:
            rejection = _kept(said, reason) if rejected else None
            answer = Answer(key, 0, number, UNNAMED, 0, None, rejection, time.time(), partition=0)
            self._note(self._answers, asdict(answer))
        else:
            self._note(self._unanswered, {"key": key, "why": f"answered {_kept(said)}"})

    def _note(self, journal: TextIO, line: Mapping[str, object]) -> None:
        with self._lock:
            journal.write(json.dumps(line) + "\n")

    def flush(self) -> None:
        """Let readers see what was sent, if that was not done a moment ago."""
        with self._lock:
            self._sends.flush()

    def close(self) -> None:
        """Nothing is under way any more."""
        self._sends.close()
        self._answers.close()
        self._unanswered.close()
        self._held_back.close()


def _kept(said: str, reason: str | None = None) -> str:
    """The beginning of a response, and the reason where that stands behind it."""
    beginning = said[:TOLD]
    behind = reason and reason not in beginning and reason in said[:LOOKED_IN]
    return f"{beginning} ... {reason}" if behind else beginning


def main(place: str) -> None:
    """
    Post until standard input ends, then wait for the last answers; ``place`` is the proof's folder.

    Raises what a request broke on that says nothing of a server.
    """
    folder = Path(place)
    plan = Plan.read(folder)
    stop = threading.Event()
    starter.when_gone(stop.set)
    poster = Poster(plan, folder, headers_in(Path(plan.headers)) if plan.headers else {})
    faults: list[BaseException] = []

    def done(post: Future[None]) -> None:
        poster.free_place()
        if fault := post.exception():
            faults.append(fault)
            stop.set()

    with closing(poster), ThreadPoolExecutor(plan.in_flight) as threads:
        start = time.monotonic()
        for number, payload in enumerate(payloads(plan, folder)):
            due = start + number / plan.rate
            while not stop.wait(min(max(due - time.monotonic(), 0), FLUSH_S)) and time.monotonic() < due:
                poster.flush()
            poster.take_place(stop)
            if stop.is_set():
                break
            threads.submit(poster.post, number, payload, due).add_done_callback(done)
    if faults:
        raise faults[0]


if __name__ == "__main__":
    try:
        main(sys.argv[1])
    except BatonError as error:
        sys.exit(str(error))
