"""The page's routes, and the process that serves them until Ctrl-C."""

import asyncio
import json
import secrets
import socket
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import uvicorn
from fastapi import Body, FastAPI, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse, StreamingResponse

from apps.common.errors import BatonError, Unavailable
from apps.common.files import keep_newest
from apps.common.waiting import wait_until
from stack.cli.page import guard
from stack.cli.page.watch import Increment, Known, Watch
from stack.cli.stack import Stack
from stack.environment import HOST

STATIC = Path(__file__).parent / "static"
FILES = {
    "page.css": "text/css",
    "uPlot.min.css": "text/css",
    "page.js": "text/javascript",
    "charts.js": "text/javascript",
    "uPlot.iife.min.js": "text/javascript",
}
SEND_EVERY_S = 1.0
BROWSERS = 20  # that are sent what changes, at the same time
START_S, STOP_S = 10, 2
KEPT = 10  # folders of as many bouts of traffic
REFUSED, CONFLICT, MANY = 403, 409, 503


@dataclass
class Buttons:
    """What the page can do to a stack: what a person could by the command of the same name."""

    stack: Stack
    watch: Watch

    def __post_init__(self) -> None:
        self._dropping = threading.Lock()

    def drop(self) -> str:
        """Drop the next batch."""
        if not self._dropping.acquire(blocking=False):
            raise BatonError("one batch must be dropped at a time; got another one; wait for it")
        try:
            batch = self.stack.pipeline().drop_batch()
        finally:
            self._dropping.release()
        return f"batch {batch.name} with {batch.rows:,} rows was dropped"

    def traffic(self, rate: float, seconds: float) -> str:
        """Send requests for a while."""
        pipeline = self.stack.pipeline()
        pipeline.require_served()
        sent = self.stack.state / "page-traffic"
        keep_newest(sent, KEPT - 1)
        folder = sent / time.strftime("%Y%m%d-%H%M%S")
        self.watch.traffic.start(pipeline.environment, folder, rate, seconds)
        return f"{rate:g} requests/s are sent for {seconds:g} s"

    def stop_traffic(self) -> str:
        """Send no more."""
        self.watch.traffic.stop()
        return "the traffic of this page is stopped"

    def roll_back(self) -> str:
        """Back to the version that was champion before."""
        return self.stack.pipeline().roll_back().words()


def application(known: Known, buttons: Buttons | None, closed: Callable[[], bool]) -> FastAPI:
    """The routes; without ``buttons`` nothing can be changed by them. What is sent on and on ends when ``closed``."""
    token = secrets.token_urlsafe(32) if buttons else ""
    app = FastAPI(title="Baton", docs_url=None, redoc_url=None, openapi_url=None)
    _add_guard(app, token)
    _add_reading(app, known, token, closed)
    if buttons:
        _add_buttons(app, buttons)
    return app


def _add_guard(app: FastAPI, token: str) -> None:
    @app.middleware("http")
    async def guarded(request: Request, go_on: Callable[[Request], Awaitable[Response]]) -> Response:
        if why := guard.refusal(request.method, request.headers, token):
            response: Response = JSONResponse({"error": why}, REFUSED)
        else:
            response = await go_on(request)
        response.headers.update(guard.HEADERS)
        return response

    @app.exception_handler(BatonError)
    def refused(_request: Request, error: Exception) -> Response:
        return JSONResponse({"error": str(error)}, CONFLICT)


def _add_reading(app: FastAPI, known: Known, token: str, closed: Callable[[], bool]) -> None:
    page = (STATIC / "index.html").read_text("utf-8").replace("{{token}}", token)
    files = {name: (STATIC / name).read_bytes() for name in FILES}
    browsers = 0

    @app.get("/")
    def index() -> Response:
        return Response(page, media_type="text/html")

    @app.get("/static/{name}")
    def static(name: str) -> Response:
        if name not in files:
            return PlainTextResponse("there is no such file", 404)
        return Response(files[name], media_type=FILES[name])

    @app.get("/state")
    def now() -> dict[str, Any]:
        return Increment(known).next(time.time())

    @app.get("/events")
    async def events() -> Response:
        if browsers >= BROWSERS:
            return PlainTextResponse(f"{BROWSERS} browsers at the most; got one more; close one", MANY)
        return StreamingResponse(told(), media_type="text/event-stream")

    async def told() -> AsyncIterator[str]:
        nonlocal browsers
        browsers += 1
        try:
            increment = Increment(known)
            while not closed():
                yield f"data: {json.dumps(increment.next(time.time()), separators=(',', ':'))}\n\n"
                await asyncio.sleep(SEND_EVERY_S)
        finally:
            browsers -= 1


def _add_buttons(app: FastAPI, buttons: Buttons) -> None:
    def pressed(act: Callable[[], str]) -> dict[str, str]:
        try:
            return {"done": act()}
        finally:
            buttons.watch.soon()

    @app.post("/drop")
    def drop() -> dict[str, str]:
        return pressed(buttons.drop)

    @app.post("/traffic")
    def traffic(rate: Annotated[float, Body()], seconds: Annotated[float, Body()]) -> dict[str, str]:
        return pressed(lambda: buttons.traffic(rate, seconds))

    @app.post("/traffic/stop")
    def stop_traffic() -> dict[str, str]:
        return pressed(buttons.stop_traffic)

    @app.post("/rollback")
    def roll_back() -> dict[str, str]:
        return pressed(buttons.roll_back)


def bound(port: int) -> socket.socket:
    """A socket at that port, for this machine alone, that whoever is told of may connect to; raises Unavailable."""
    # By its protocol asyncio knows that answers must not wait to be sent together: some 40 ms on a kept connection.
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((HOST, port))
        listening.listen()
    except OSError as error:
        listening.close()
        message = f"port {port} must be free; got {error.strerror}; end what has it, or name another: --port"
        raise Unavailable(message) from error
    return listening


class PageServer(uvicorn.Server):
    """uvicorn for one page: it says nothing, and ends what is sent on and on when it ends itself."""

    def __init__(self, known: Known, buttons: Buttons | None) -> None:
        """Nothing listens yet."""
        app = application(known, buttons, lambda: self.should_exit)
        super().__init__(uvicorn.Config(app, log_config=None, access_log=False, timeout_graceful_shutdown=STOP_S))


def serve(stack: Stack, port: int, *, read_only: bool, ready: Callable[[str], None]) -> None:
    """Serve the page of a running stack until Ctrl-C; ``ready`` is told its address."""
    with _watched(stack, port) as (listening, watch), suppress(KeyboardInterrupt):
        server = PageServer(watch, None if read_only else Buttons(stack, watch))
        ready(_address(listening))
        server.run([listening])


@contextmanager
def beside(stack: Stack) -> Iterator[str]:
    """The page of a running stack while the block runs, at a free port: its address."""
    with _watched(stack, 0) as (listening, watch):
        server = PageServer(watch, Buttons(stack, watch))
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        try:
            wait_until(lambda: server.started, START_S, "the page must be served; it does not start")
            yield _address(listening)
        finally:
            server.should_exit = True
            thread.join()


@contextmanager
def _watched(stack: Stack, port: int) -> Iterator[tuple[socket.socket, Watch]]:
    with bound(port) as listening:
        watch = Watch(stack)
        try:
            watch.start()
            yield listening, watch
        finally:
            watch.end()


def _address(listening: socket.socket) -> str:
    host, port = listening.getsockname()
    return f"http://{host}:{port}"
