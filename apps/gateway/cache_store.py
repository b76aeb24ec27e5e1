"""
Valkey or Redis as the gateway uses it: nobody waits for it longer than WAIT_S, and nothing of it is ever an error.

A few connections are made and tried beforehand, by a task of their own. A look-up takes one that is idle; one that was
late or failed is dropped, never used again. So a cache that is frozen costs as many look-ups as there are connections,
and then nothing: where none is left, a look-up is a miss at once, until one could be made that answers in time.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Sequence
from contextlib import suppress

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from structlog.stdlib import BoundLogger

from apps.gateway.cache_access import CacheAccess

WAIT_S = 0.005  # for a look-up, the wait for an idle connection included
CONNECTIONS = 4  # look-ups at a time; each takes a third of a millisecond
AGAIN_S = 0.5  # before a connection is tried again
PATIENCE_S = 1.0  # of what no client waits for: connecting, writing
KEPT_S = 86_400  # an entry that nobody evicts: old releases leave a company's Redis, too
QUEUED = 1000  # entries that wait to be written
AT_ONCE = 100  # of them


class Missed(Exception):
    """Nothing was found, for a reason that is not that nothing is there."""


class CacheStore:
    """Keys and values of bytes; one event loop calls everything."""

    def __init__(self, access: CacheAccess, log: BoundLogger) -> None:
        """Nothing is connected yet; raises SettingsError."""
        self._access = access
        self._log = log
        self._idle: asyncio.Queue[Redis] = asyncio.Queue()
        self._alive = 0  # connections, in use or idle
        self._dropped: list[Redis] = []  # to be closed
        self._queue: deque[tuple[str, bytes]] = deque()
        self._wake = asyncio.Event()
        self._said = ""
        self.unkept: Counter[str] = Counter()  # entries that were not written, by reason
        access.options()

    async def get(self, keys: Sequence[str]) -> list[bytes | None]:
        """What is kept under each key; raises Missed, after WAIT_S at the latest."""
        if not self._alive:
            raise Missed("away")
        client: Redis | None = None
        sound = False
        try:
            async with asyncio.timeout(WAIT_S):
                client = await self._idle.get()
                found = [one if isinstance(one, bytes) else None for one in await client.mget(keys)]
            sound = len(found) == len(keys)
        except TimeoutError as error:
            raise Missed("slow") from error
        except Exception as error:  # whatever is wrong with it, it is a miss
            raise Missed("broken") from error
        finally:  # a client of ours that goes away leaves a connection with half an answer, too
            if client and sound:
                self._idle.put_nowait(client)
            elif client:
                self._alive -= 1
                self._dropped.append(client)
        if not sound:
            raise Missed("broken")
        return found

    def put(self, key: str, value: bytes) -> None:
        """Keep a value soon, or not at all."""
        if not self._alive or len(self._queue) >= QUEUED:
            self.unkept["behind" if self._alive else "away"] += 1
            return
        self._queue.append((key, value))
        self._wake.set()

    async def run(self) -> None:
        """Connect, and write what is put; for ever."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._connect())
            tasks.create_task(self._write())

    async def _connect(self) -> None:
        while True:
            while self._dropped:
                await _close(self._dropped.pop())
            while self._alive < CONNECTIONS and await self._one_more():
                pass
            await asyncio.sleep(AGAIN_S)

    async def _one_more(self) -> bool:
        """Whether there is one more connection, which answers in time."""
        client = None
        try:
            client = _client(self._access)
            async with asyncio.timeout(PATIENCE_S):
                await client.ping()
            async with asyncio.timeout(WAIT_S):
                await client.ping()
        except Exception as error:  # noqa: BLE001 - whatever it is, the cache cannot be used
            if client:
                await _close(client)
            if self._said != (reason := str(error) or type(error).__name__):
                self._said = reason
                self._log.warning("the cache is not used", address=self._access.url, reason=reason)
            return False
        self._idle.put_nowait(client)
        self._alive += 1
        if self._said:
            self._said = ""
            self._log.info("the cache is used", address=self._access.url)
        return True

    async def _write(self) -> None:
        client: Redis | None = None
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._queue:
                entries = [self._queue.popleft() for _ in range(min(AT_ONCE, len(self._queue)))]
                try:
                    client = client or _client(self._access)
                    async with asyncio.timeout(PATIENCE_S):
                        await _set(client, entries)
                except Exception as error:  # noqa: BLE001 - full, away, slow: then it is not kept
                    self.unkept[type(error).__name__] += len(entries)
                    if client:
                        await _close(client)
                    client = None


def _client(access: CacheAccess) -> Redis:
    """One connection, not made yet; a second try is the caller's business."""
    return Redis.from_url(
        access.url,
        **access.options(),
        single_connection_client=True,
        protocol=2,
        socket_timeout=PATIENCE_S,
        socket_connect_timeout=PATIENCE_S,
        retry=Retry(NoBackoff(), 0),
    )


async def _set(client: Redis, entries: Sequence[tuple[str, bytes]]) -> None:
    pipeline = client.pipeline(transaction=False)
    for key, value in entries:
        pipeline.set(key, value, ex=KEPT_S)
    await pipeline.execute()


async def _close(client: Redis) -> None:
    with suppress(Exception):
        async with asyncio.timeout(PATIENCE_S):
            await client.aclose()
