"""Requests to the server under test, a bounded number of them, and what came back, whatever it is."""

import json
import socket
import threading
import time
from collections.abc import Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any
from urllib.parse import SplitResult, urlsplit

from apps.common.errors import SettingsError, Unavailable

ANSWER_S, RUN_S = 15, 300
REQUESTS = 200  # of one run at the most
LONGEST = 16 * 1024 * 1024  # bytes of an answer that are read
SHOWN = 160  # characters of an answer in what is told
JSON_TYPE = {"Content-Type": "application/json"}


class Deviation(Exception):
    """What was got where ``source`` wants something else; "" is the source of the check."""

    def __init__(self, got: str, source: str = "") -> None:
        super().__init__(got)
        self.source = source


class NotOffered(Exception):
    """What a check would look at is no part of this server or model, and need not be."""


@dataclass(frozen=True)
class HttpReply:
    """An answer; the names of ``headers`` are in small letters."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """What the body says; raises Deviation when it is no JSON, as NaN is none."""
        try:
            return json.loads(self.body, parse_constant=_no)
        except (ValueError, RecursionError) as error:
            raise Deviation(f"{self} is no JSON: {error}") from error

    def __str__(self) -> str:
        text = " ".join(self.body.decode(errors="replace").split())
        return f"{self.status} {text[:SHOWN]}{'...' if len(text) > SHOWN else ''}".strip()


def _no(constant: str) -> None:
    raise ValueError(f"{constant} is no number of JSON")


@dataclass
class Endpoint:
    """An address, and how much was asked of it; several threads may ask."""

    url: str
    requests: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        """Raise SettingsError for what is no address."""
        self._split, self._port = _parts(self.url)
        self._until = time.monotonic() + RUN_S

    def require_listening(self) -> None:
        """Raise Unavailable when it takes no connection; nothing is asked of it."""
        try:
            with closing(self.connection()) as trial:
                trial.connect()
        except OSError as error:
            raise Unavailable(f"a server must listen at {self.url}; got {error}; is it up?") from error

    def connection(self) -> HTTPConnection:
        """A new one, not connected yet; it goes through no proxy."""
        kind = HTTPSConnection if self._split.scheme == "https" else HTTPConnection
        return kind(self._split.hostname or "", self._port, timeout=ANSWER_S)

    def get(self, path: str, method: str = "GET") -> HttpReply:
        """The answer to a request without a body; raises Deviation when there is none."""
        with closing(self.connection()) as one:
            return self.ask(one, method, path)

    def post(self, path: str, body: Any, headers: Mapping[str, str] = JSON_TYPE) -> HttpReply:
        """The answer to a body: bytes, chunks of them, or what is to be JSON; raises Deviation when there is none."""
        with closing(self.connection()) as one:
            return self.ask(one, "POST", path, body, headers)

    def ask(
        self, one: HTTPConnection, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> HttpReply:
        """The answer on a connection that is kept; raises Deviation when there is none, Unavailable out of bounds."""
        self._count()
        content = json.dumps(body).encode() if isinstance(body, dict) else body
        try:
            with suppress(BrokenPipeError, ConnectionResetError):  # it may answer before it has read all
                one.request(method, self._split.path.rstrip("/") + path, content, dict(headers or {}))
            response = one.getresponse()
            found = {name.lower(): value for name, value in response.getheaders()}
            return HttpReply(response.status, found, response.read(LONGEST))
        except (OSError, HTTPException) as error:
            told = "in time" if isinstance(error, socket.timeout) else f": {type(error).__name__} {error}"
            raise Deviation(f"no answer to {method} {path} {told}") from error

    def _count(self) -> None:
        with self._lock:
            self.requests += 1
            if self.requests > REQUESTS or time.monotonic() > self._until:
                rule = f"a run must take at most {REQUESTS} requests and {RUN_S} s"
                raise Unavailable(f"{rule}; got {self.requests} requests; the server is too slow to be judged")


def _parts(url: str) -> tuple[SplitResult, int | None]:
    with suppress(ValueError):
        split = urlsplit(url)
        if split.scheme in ("http", "https") and split.hostname and not split.query and not split.fragment:
            return split, split.port
    raise SettingsError(f"URL must be http://HOST:PORT or https://HOST:PORT; got {url!r}; name the server's root")
