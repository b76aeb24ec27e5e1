"""
``ask``: rows of one client out as Kafka requests, their answers back. One event loop calls everything here.

The log is the state. What was asked and answered is what was read back from the topics, whoever wrote it, so that a
gateway that was killed, or another one, knows it too: the same id with the same body gets the answer that the log has,
or waits for it, and sends nothing; with another body it is a conflict (409). Where two gateways send the same id at
once, both requests stand in the log and are answered; the first of them counts for both.

Where there is a cache, a row that is found there is not sent: its answer is written to the answers topic as if a server
had given it, and told when it is read back, as every answer is. Should a newer release have answered before that, it
came too late, and the row is sent after all: nobody is told an older release's answer after a newer one's.
"""

import asyncio
import secrets
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from apps.common.messages import MAX_KEY_BYTES, PROBE_PREFIX, Answer, CachedAnswer, Position
from apps.gateway.answer_cache import AnswerCache, Sought
from apps.gateway.progress import AnswerProgress, waits_for
from apps.gateway.remembered import AskedRequest, Remembered, Reply, digest
from apps.gateway.settings import GatewaySettings
from apps.gateway.turned_away import RETRY, TurnedAway, malformed, require_few

ENDS = "the gateway must stay until it has answered; it ends"

Failed = Callable[[str], None]  # told why a record did not get into the log, on the loop
Acknowledged = Callable[[], None]  # told on any thread: at each request, which is no reason to wake the loop


class SendRequest(Protocol):
    """What puts a request into the log."""

    def __call__(
        self,
        request_id: str,
        value: bytes,
        rows: bytes,
        failed: Failed,
        acknowledged: Acknowledged,
        *,
        anew: bool = False,
    ) -> None:
        """``anew``: although a cached answer to it stands there."""


@dataclass(frozen=True)
class Caching:
    """A cache, and what puts an answer out of it into the log."""

    cache: AnswerCache
    give: Callable[[CachedAnswer, Failed, Acknowledged], None]


@dataclass(frozen=True, slots=True)
class SeenRequest:
    """A record of the requests topic."""

    request_id: str
    digest: bytes
    position: Position
    timestamp: int
    anew: bool = False


@dataclass(frozen=True, slots=True)
class SeenCached:
    """An answer that a gateway took out of its cache, and when the broker took it."""

    answer: CachedAnswer
    timestamp: int


@dataclass(frozen=True, slots=True)
class SeenAnswer:
    """A record of the answers topic, and when the broker took it."""

    answer: Answer
    timestamp: int


Seen = SeenRequest | SeenAnswer | SeenCached


@dataclass(frozen=True, slots=True)
class AskedRow:
    """One row as it is asked: its value, with how many others, and what that makes."""

    value: bytes
    digest: bytes
    rows: bytes


@dataclass(frozen=True, slots=True)
class AnsweredRow:
    """One row's id and answer."""

    request_id: str
    reply: Reply


@dataclass(slots=True)
class Awaited:
    """A request that clients of this gateway wait for."""

    digest: bytes
    future: asyncio.Future[Reply]
    waiters: int = 0
    sought: Sought | None = None  # what was looked up in vain, and is to be kept


@dataclass(slots=True)
class HandedOver:
    """A request on its way into the log, or a cached answer to it."""

    digest: bytes
    cached: AskedRow | None = None  # what is asked after all where its cached answer comes too late
    at: float = field(default_factory=time.monotonic)
    stands: bool = False  # in the log: Kafka has acknowledged it

    def acknowledged(self) -> None:
        """Kafka has it."""
        self.stands = True


@dataclass
class Asking:
    """
    What of the log is known, and who waits for what of it.

    ``unread`` are the places, as (topic, partition), that were not read to their end yet.
    """

    settings: GatewaySettings
    send: SendRequest
    unread: set[tuple[str, int]]
    caching: Caching | None = None
    progress: AnswerProgress = field(default_factory=AnswerProgress)
    rows: int = 0  # in flight
    heard_at: float = field(default_factory=time.monotonic)  # of Kafka
    _awaited: dict[str, Awaited] = field(default_factory=dict)
    ended: str = ""  # why nothing can be read or sent any more
    _sent: dict[str, HandedOver] = field(default_factory=dict)  # handed over and not read back yet, the oldest first

    def __post_init__(self) -> None:
        self.remembered = Remembered(self.settings.remember_s, self.settings.remembered)

    # What the reader tells.

    def take(self, records: Sequence[Seen], ends: Sequence[tuple[str, int]]) -> None:
        """Take in what was read; ``ends`` are places of which the end was reached."""
        self.heard_at = time.monotonic()
        for record in records:
            if isinstance(record, SeenRequest):
                self._take_request(record)
            elif isinstance(record, SeenAnswer):
                self._take_answer(record)
            else:
                self._take_cached(record)
        self.unread.difference_update(ends)
        self.remembered.forget(time.time() * 1000, self._awaited)

    def _take_request(self, seen: SeenRequest) -> None:
        partition, offset = seen.position
        self.progress.asked(partition, offset, seen.timestamp)
        counts = self.remembered.asked(seen.request_id, seen.digest, seen.position, seen.timestamp, anew=seen.anew)
        self._sent.pop(seen.request_id, None)
        self._tell(seen.request_id, counts)

    def _tell(self, request_id: str, counts: AskedRequest) -> None:
        """Tell those who wait for an id what counts for it, as far as that is known."""
        awaited = self._awaited.get(request_id)
        if awaited is None or awaited.future.done():
            return
        if awaited.digest != counts.digest:
            awaited.future.set_exception(_conflict(request_id))
        elif counts.reply:
            awaited.future.set_result(counts.reply)

    def _take_answer(self, seen: SeenAnswer) -> None:
        self.progress.answered(seen.answer, seen.timestamp)
        if self.caching:
            self.caching.cache.note(seen.answer)
        found = self.remembered.answered(seen.answer)
        awaited = self._awaited.get(found[0]) if found else None
        if found and awaited and not awaited.future.done():
            awaited.future.set_result(found[1])
            if self.caching and awaited.sought:
                self.caching.cache.keep(awaited.sought, seen.answer)

    def _take_cached(self, seen: SeenCached) -> None:
        """What came before this gateway began has been told; of what comes now an overtaken one is told to nobody."""
        request_id, handed = seen.answer.request_id, self._sent.get(seen.answer.request_id)
        own = handed.cached if handed and handed.digest == seen.answer.asked else None
        if own:
            del self._sent[request_id]
        if not self.unread and self.progress.overtaken(seen.answer.release):
            if own:
                self._hand_over(request_id, own, anew=True)
            return
        self._tell(request_id, self.remembered.given(seen.answer, seen.timestamp))

    # What clients ask.

    def waits_for(self) -> str:
        """What a client is told that this gateway waits for; "" when an infer would be answered."""
        now, timeout_s = time.monotonic(), self.settings.timeout_s
        topics = (topic for topic, _ in self.unread)
        if reason := self.ended or waits_for(self.progress, topics, now - self.heard_at, time.time() * 1000, timeout_s):
            return reason
        taken_s = now - next((one.at for one in self._sent.values() if not one.stands), now)
        if taken_s > timeout_s:
            return f"Kafka must take requests within {timeout_s:g} s; the oldest has waited for {taken_s:.0f} s; wait"
        return ""

    def state(self, request_id: str) -> Reply | None:
        """The answer to a request, None while it waits; raises TurnedAway when it is not known."""
        if known := self.remembered.find(request_id):
            return known.reply
        if request_id in self._sent:
            return None
        window = f"{self.settings.remember_s} s, or longer ago than {self.settings.remembered} others"
        raise TurnedAway(404, f"id must be of a request of the last {window}; got {request_id!r}", id=request_id)

    def knows(self, request_id: str) -> bool:
        """Whether something was asked by that id, one row or several."""
        return bool(self._digest(request_id) or self._digest(f"{request_id}/0"))

    async def ask(self, request_id: str, values: Sequence[bytes]) -> list[AnsweredRow]:
        """
        The answers to the rows of one client, in their order; raises TurnedAway.

        The id of a single row is ``request_id``, that of row i of several ``request_id/i``.
        """
        asked = self._asked(request_id, values)
        if known := self._known(asked):
            return known
        self._require_room(len(asked))
        self.rows += len(asked)
        try:
            found = await self._look_up(asked)
            self._require_same(request_id, asked)  # as nobody else could come between this and what follows
            awaited = {one: self._await(one, row, found.get(one)) for one, row in asked.items()}
            try:
                return await self._answers(awaited)
            finally:
                self._leave(awaited)
        except asyncio.CancelledError as error:  # the process ends, and the response can still be sent
            raise TurnedAway(503, f"{ENDS}; ask again with the same id", RETRY, ids=list(asked)) from error
        finally:
            self.rows -= len(asked)

    async def _look_up(self, asked: Mapping[str, AskedRow]) -> dict[str, Sought]:
        """What the cache says of the rows that nobody has asked."""
        new = {one: row for one, row in asked.items() if not self._digest(one)} if self.caching else {}
        if not self.caching or not new:
            return {}
        found = await self.caching.cache.find([row.value for row in new.values()])
        return {one: sought for one, sought in zip(new, found, strict=True) if sought}

    def _asked(self, request_id: str, values: Sequence[bytes]) -> dict[str, AskedRow]:
        """Each row by its id; raises TurnedAway for a conflict."""
        rows = str(len(values)).encode()
        ids = [request_id] if len(values) == 1 else [f"{request_id}/{number}" for number in range(len(values))]
        asked = {one: AskedRow(value, digest(value, rows), rows) for one, value in zip(ids, values, strict=True)}
        self._require_same(request_id, asked)
        return asked

    def _require_same(self, request_id: str, asked: Mapping[str, AskedRow]) -> None:
        """Raise TurnedAway where the id is known with another body."""
        other = f"{request_id}/0" if len(asked) == 1 else request_id
        if self._digest(other) or any(self._digest(one) not in (None, row.digest) for one, row in asked.items()):
            raise _conflict(request_id)

    def _known(self, asked: Iterable[str]) -> list[AnsweredRow]:
        """The answers to rows that all have theirs; none otherwise. They are told whether or not a server is there."""
        found = [(one, known.reply if (known := self.remembered.find(one)) else None) for one in asked]
        answered = [AnsweredRow(one, reply) for one, reply in found if reply]
        return answered if len(answered) == len(found) else []

    def _digest(self, request_id: str) -> bytes | None:
        known = self.remembered.find(request_id) or self._sent.get(request_id)
        return known.digest if known else None

    def _require_room(self, rows: int) -> None:
        most = self.settings.in_flight
        require_few(rows, most)
        if reason := self.waits_for():
            raise TurnedAway(503, reason, RETRY, ready=False)
        if self.rows + rows > most:
            raise TurnedAway(429, f"at most {most} rows must wait at a time; got {rows} more than {self.rows}", RETRY)

    def _await(self, request_id: str, row: AskedRow, sought: Sought | None) -> Awaited:
        """Wait for a request, which is sent unless it was, or unless its answer was found."""
        if (awaited := self._awaited.get(request_id)) is None or awaited.future.done():
            awaited = self._awaited[request_id] = Awaited(row.digest, asyncio.get_running_loop().create_future())
        awaited.waiters += 1
        known = self.remembered.find(request_id)
        if known and known.reply and not awaited.future.done():
            awaited.future.set_result(known.reply)
        elif not known and request_id not in self._sent and not self._give(request_id, row, sought):
            awaited.sought = sought
            self._hand_over(request_id, row)
        return awaited

    def _give(self, request_id: str, row: AskedRow, sought: Sought | None) -> bool:
        """Whether there is a cached answer, which is on its way into the log now."""
        if not self.caching or not sought or not (answer := self.caching.cache.answer(request_id, row.digest, sought)):
            return False
        handed = self._sent[request_id] = HandedOver(row.digest, row)
        self.caching.give(answer, lambda reason: self._failed(request_id, reason), handed.acknowledged)
        return True

    def _hand_over(self, request_id: str, row: AskedRow, *, anew: bool = False) -> None:
        handed = self._sent[request_id] = HandedOver(row.digest)

        def failed(reason: str) -> None:
            self._failed(request_id, reason)

        more = {"anew": True} if anew else {}
        self.send(request_id, row.value, row.rows, failed, handed.acknowledged, **more)

    def _failed(self, request_id: str, reason: str) -> None:
        """A request never reached the log."""
        self._sent.pop(request_id, None)
        if (awaited := self._awaited.get(request_id)) and not awaited.future.done():
            awaited.future.set_exception(TurnedAway(503, f"Kafka must take the request; got {reason}", RETRY))

    async def _answers(self, awaited: Mapping[str, Awaited]) -> list[AnsweredRow]:
        futures = {one.future for one in awaited.values()}
        _, late = await asyncio.wait(futures, timeout=self.settings.timeout_s, return_when=asyncio.FIRST_EXCEPTION)
        for one in awaited.values():  # a failure tells more than that others are late
            if one.future.done() and (error := one.future.exception()):
                raise error
        if late:
            raise self._late([request_id for request_id, one in awaited.items() if not one.future.done()])
        return [AnsweredRow(request_id, one.future.result()) for request_id, one in awaited.items()]

    def _late(self, ids: Sequence[str]) -> TurnedAway:
        handed = [one for one in ids if (sent := self._sent.get(one)) and not sent.stands]
        stands = (
            "Kafka has not acknowledged all of them yet, and what it has is"
            if handed
            else "they stand in Kafka and are"
        )
        return TurnedAway(
            504,
            f"answers must come within {self.settings.timeout_s:g} s; {len(ids)} did not; {stands} answered once a "
            "server is there: GET /v1/answers/ID, or send the same again with the same id, which asks nothing twice",
            ids=list(ids),
        )

    def _leave(self, awaited: Mapping[str, Awaited]) -> None:
        for request_id, one in awaited.items():
            one.waiters -= 1
            if not one.waiters and self._awaited.get(request_id) is one:
                del self._awaited[request_id]

    def probe(self, value: bytes = b"{}") -> None:
        """Ask for the sake of an answer, whatever it says: nobody has ever answered, as far as is known."""
        self.send(f"{PROBE_PREFIX}gateway-{secrets.token_hex(4)}", value, b"1", lambda _: None, lambda: None)


def request_id_of(*given: str | None) -> str:
    """The first of the ids that a client gave, or a random one; raises TurnedAway for one that no key may be."""
    request_id = next(filter(None, given), "")
    try:
        size = len(request_id.encode())
    except UnicodeEncodeError:
        size = MAX_KEY_BYTES + 1
    if size > MAX_KEY_BYTES - len("/1000000") or request_id.startswith(PROBE_PREFIX):
        rule = f"id must be at most {MAX_KEY_BYTES - len('/1000000')} bytes of UTF-8, and not begin with {PROBE_PREFIX}"
        raise malformed(rule, request_id)
    return request_id or secrets.token_hex(16)


def _conflict(request_id: str) -> TurnedAway:
    return TurnedAway(
        409,
        f"an id must be of one request; got {request_id!r} with another body than before; send it with another id",
        id=request_id,
    )
