"""``bench cache``: a Zipf mix of requests by HTTP, without a cache and with one: how many it answers, and how soon."""

import asyncio
import json
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import accumulate
from typing import Any
from urllib.parse import urlsplit

from rich.table import Table

from loadtest.timing import Latency, distribution
from stack.cli import replayed
from stack.cli.bench.machine import machine, quantiles, tell
from stack.cli.bench.measured_stack import measured_stack
from stack.cli.console import step
from stack.cli.demo import Chronicle
from stack.cli.stack import Mode

WARM_S = 15
CONNECTIONS = 32  # that answer one request after the other, as HTTP/1.1 does
FAILED_S = 30


@dataclass(frozen=True)
class HttpAnswer:
    """One request: when it was due (seconds of the measuring clock), its status, and whether it came from the cache."""

    due: float
    ms: float
    status: int
    cached: bool


@dataclass(frozen=True)
class CacheRun:
    """What the requests met that were due after the warm-up."""

    asked: int
    failed: int
    hits: int
    of_hits: Latency
    of_misses: Latency
    of_all: Latency


def summed(answers: Sequence[HttpAnswer], since: float) -> CacheRun:
    """The figures of those that were due from ``since`` on."""
    counted = [one for one in answers if one.due >= since]
    fine = [one for one in counted if one.status == 200]  # noqa: PLR2004 - HTTP's
    hits = [one.ms for one in fine if one.cached]
    misses = [one.ms for one in fine if not one.cached]
    return CacheRun(
        asked=len(counted),
        failed=len(counted) - len(fine),
        hits=len(hits),
        of_hits=distribution(hits),
        of_misses=distribution(misses),
        of_all=distribution([*hits, *misses]),
    )


def zipf(count: int, exponent: float) -> list[float]:
    """The weights of so many rows, summed up as ``random.choices`` takes them."""
    return list(accumulate(1 / rank**exponent for rank in range(1, count + 1)))


def body_of(fields: Mapping[str, Any]) -> bytes:
    """A row in the Open Inference Protocol, each cell as the file has it; without an id, so that each is a new one."""
    tensors = [{"name": name, "shape": [1], "datatype": "BYTES", "data": [str(cell)]} for name, cell in fields.items()]
    return json.dumps({"inputs": tensors}).encode()


class HttpSender:
    """Open loop: the k-th request is due at start + k / rate, on whichever connection is idle then."""

    def __init__(self, url: str, bodies: Sequence[bytes], weights: Sequence[float]) -> None:
        """``url`` is that of the infer door."""
        self._place = urlsplit(url)
        self._bodies, self._weights = bodies, weights
        self._draw = random.Random(1)
        self._idle: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()
        self.answers: list[HttpAnswer] = []

    async def run(self, rate: float, seconds: float) -> None:
        """Send, and wait for every answer."""
        for _ in range(CONNECTIONS):
            self._idle.put_nowait(await asyncio.open_connection(self._place.hostname, self._place.port))
        began = time.monotonic()
        async with asyncio.TaskGroup() as tasks:
            for number in range(int(rate * seconds)):
                due = began + number / rate
                await asyncio.sleep(max(due - time.monotonic(), 0))
                tasks.create_task(self._ask(due, *self._draw.choices(self._bodies, cum_weights=self._weights)))
        while not self._idle.empty():
            self._idle.get_nowait()[1].close()

    async def _ask(self, due: float, body: bytes) -> None:
        reader, writer = await self._idle.get()
        status, told = 0, b""
        try:
            async with asyncio.timeout(FAILED_S):
                head = f"POST {self._place.path} HTTP/1.1\r\nHost: {self._place.netloc}\r\nContent-Length: {len(body)}"
                writer.write(head.encode() + b"\r\n\r\n" + body)
                lines = (await reader.readuntil(b"\r\n\r\n")).lower().split(b"\r\n")
                status = int(lines[0].split()[1])
                length = next(int(line.split(b":")[1]) for line in lines if line.startswith(b"content-length:"))
                told = await reader.readexactly(length)
        except (OSError, EOFError, TimeoutError, StopIteration):
            writer.close()
            reader, writer = await asyncio.open_connection(self._place.hostname, self._place.port)
        self.answers.append(HttpAnswer(due, (time.monotonic() - due) * 1000, status, b'"cached"' in told))
        self._idle.put_nowait((reader, writer))


def cache(
    rate: float, seconds: float, rows: int, exponent: float, settings: Mapping[str, str], *, as_json: bool
) -> None:
    """The same mix on a stack whose gateway has no cache, and then on one with it."""
    before = machine()
    runs = {
        wanted: _run(rate, seconds, rows, exponent, {**settings, "BATON_CACHE": wanted}) for wanted in ("off", "on")
    }
    table = Table("", "p50 ms", "p99 ms", "worst ms", box=None)
    on = runs["on"]
    table.add_row("every answer, without a cache", *quantiles(runs["off"].of_all))
    table.add_row("every answer, with a cache", *quantiles(on.of_all))
    table.add_row("hits", *quantiles(on.of_hits))
    table.add_row("misses", *quantiles(on.of_misses))
    remark = (
        f"{rate:g} requests/s for {seconds:g} s, {rows:,} rows by Zipf's law with exponent {exponent:g}; hit rate "
        f"{on.hits / max(on.asked - on.failed, 1):.1%}; failed: {runs['off'].failed + on.failed}"
    )
    tell({name: asdict(run) for name, run in runs.items()}, before, [table, remark], as_json=as_json)


def _run(rate: float, seconds: float, rows: int, exponent: float, settings: Mapping[str, str]) -> CacheRun:
    with measured_stack(Mode.EMBEDDED, **{**settings, "BATON_GATEWAY": "on"}) as stack:
        pipeline = stack.pipeline()
        Chronicle(pipeline).cycle()
        bodies = [body_of(json.loads(value)) for value in replayed.requests(pipeline)[:rows]]
        url = f"{stack.runtime.address('gateway')}/v2/models/{pipeline.names.model}/infer"
        with step(f"{rate:g} requests/s, the cache {settings['BATON_CACHE']}"):
            sender = HttpSender(url, bodies, zipf(len(bodies), exponent))
            began = time.monotonic()
            asyncio.run(sender.run(rate, WARM_S + seconds))
        return summed(sender.answers, began + WARM_S)
