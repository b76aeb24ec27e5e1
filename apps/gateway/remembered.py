"""
The requests of the last while and their answers, as the two topics tell them: what makes the same id the same request.

Of an id the first request in the log counts, and of a request its first answer, known by position and timestamp as
``first_answers`` knows it. Values are kept as hashes. Both topics are read side by side, so an answer may come before
its request; it waits for it here. What is older than the window, or too much, is forgotten, the oldest first.
"""

import hashlib
import math
from collections import OrderedDict
from collections.abc import Container
from dataclasses import dataclass

from apps.common.messages import Answer, CachedAnswer, Position

DIGEST = 16  # bytes
ANEW = (
    "anew"  # the header of a request that is asked although a cached answer to it stands in the log: it came too late
)
NOWHERE: Position = (-1, -1)  # of what no server was asked
ROWS = "rows"  # the header of a request that says with how many others its client sent it


@dataclass(frozen=True, slots=True)
class Reply:
    """What of an answer a client is told."""

    prediction: float | None
    rejection: str | None
    version: str
    release: int
    cached: bool = False

    @classmethod
    def of(cls, answer: Answer) -> "Reply":
        """A foreign record may carry our headers, and anything else."""
        number, reason = answer.prediction, answer.rejection
        if isinstance(number, int | float) and not isinstance(number, bool) and math.isfinite(number) and not reason:
            return cls(float(number), None, answer.model_version, answer.release)
        return cls(None, str(reason or "the answer holds no prediction"), answer.model_version, answer.release)


@dataclass(slots=True)
class AskedRequest:
    """A request in the log, and its answer once there is one."""

    digest: bytes
    position: Position
    timestamp: int  # the broker's, in milliseconds
    reply: Reply | None = None


def digest(value: bytes, rows: bytes) -> bytes:
    """What a request says, short: its value, and in how many rows its sender sent it."""
    return hashlib.blake2b(rows + b"\0" + value, digest_size=DIGEST).digest()


class Remembered:
    """The window; fed in the order in which each partition is read."""

    def __init__(self, window_s: float, most: int) -> None:
        """Nothing was read yet."""
        self._window_ms = window_s * 1000
        self._most = most
        self._requests: OrderedDict[str, AskedRequest] = OrderedDict()
        self._places: dict[tuple[Position, int], str] = {}  # of the requests that wait for an answer
        self._early: OrderedDict[tuple[Position, int | None], Reply] = (
            OrderedDict()
        )  # answers whose request was not seen

    def __len__(self) -> int:
        """How many requests are remembered."""
        return len(self._requests)

    def find(self, request_id: str) -> AskedRequest | None:
        """The request of that id."""
        return self._requests.get(request_id)

    def asked(
        self, request_id: str, what: bytes, position: Position, timestamp: int, *, anew: bool = False
    ) -> AskedRequest:
        """A request was read; the one that counts for its id, which may be one before. ``anew`` undoes a cached one."""
        known = self._requests.get(request_id)
        if known and not (anew and known.position == NOWHERE):
            return known
        place = position, timestamp
        reply = self._early.pop(place, None) or self._early.pop((position, None), None)
        request = AskedRequest(what, position, timestamp, reply)
        self._requests[request_id] = request
        if reply is None:
            self._places[place] = request_id
        return request

    def given(self, answer: CachedAnswer, timestamp: int) -> AskedRequest:
        """A cached answer was read; the request that counts for its id, which may be one that a server was asked."""
        reply = Reply(answer.prediction, None, answer.model_version, answer.release, cached=True)
        request = AskedRequest(answer.asked, NOWHERE, timestamp, reply)
        return self._requests.setdefault(answer.request_id, request)

    def answered(self, answer: Answer) -> tuple[str, Reply] | None:
        """An answer was read: whose it is, when it is the first to a request that is remembered."""
        reply, stamp = Reply.of(answer), answer.in_timestamp
        request_id = self._places.pop((answer.position, stamp), None) if stamp is not None else self._unstamped(answer)
        if request_id is None:
            self._early.setdefault((answer.position, stamp), reply)
            return None
        self._requests[request_id].reply = reply
        return request_id, reply

    def _unstamped(self, answer: Answer) -> str | None:
        """An answer that names no timestamp is to whatever stands at the position."""
        request = self._requests.get(answer.request_id)
        if request is None or request.position != answer.position:
            return None
        return self._places.pop((request.position, request.timestamp), None)

    def forget(self, now_ms: float, kept: Container[str] = ()) -> None:
        """Forget what is too old, or too much; not what is ``kept``, for which somebody waits."""
        since = now_ms - self._window_ms
        for _ in range(len(self._requests)):
            request_id, request = next(iter(self._requests.items()))
            if len(self._requests) <= self._most and request.timestamp >= since:
                break
            if request_id in kept:
                self._requests.move_to_end(request_id)
                continue
            del self._requests[request_id]
            self._places.pop((request.position, request.timestamp), None)
        while self._early:
            _, stamp = next(iter(self._early))
            if len(self._early) <= self._most and (stamp is not None and stamp >= since):
                break
            self._early.popitem(last=False)
