"""
Where a starting server begins, computed from what the two topics show.

Each writer's answers are a prefix of its requests in order, and each began at the first request unanswered at its
start; so below the highest answered request there is no hole, unless one of those promises was broken. The window is
searched for a hole all the same. It is measured from the highest answer, so that a late repeat by an old server that
was paused throws the start back by at most the window.

An answer counts only where the request that it answered still stands. A broker that lost the end of its log, or a
topic that was made anew, uses offsets again, and what stands there then is owed an answer.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

WINDOW = 4096  # answers of a partition that are read back


@dataclass(frozen=True, slots=True)
class StandingRequest:
    """A request in its topic; ``timestamp`` is the broker's, in milliseconds since 1970."""

    key: bytes | None
    timestamp: int


@dataclass(frozen=True, slots=True)
class TailAnswer:
    """
    What an answer says of its request.

    ``key`` is the request's, or the answered place where the request had none; ``timestamp`` and ``model`` are None in
    an answer of a server that did not write them.
    """

    offset: int
    key: bytes | None
    timestamp: int | None
    place: bytes
    model: str | None = None

    def answers(self, request: StandingRequest | None) -> bool:
        """Whether it is the answer to this request."""
        if request is None or self.timestamp not in (None, request.timestamp):
            return False
        return self.key in (request.key, self.place)


Requests = Callable[[int, int], Mapping[int, StandingRequest]]
"""(first, end) -> the requests from ``first`` to before ``end``; an offset may have none, as a commit marker's."""


@dataclass(frozen=True)
class ResumePoint:
    """
    Where to begin in one partition.

    ``ignored`` counts the answers to no request that stands there; ``expired`` the unanswered requests that are gone.
    """

    offset: int
    ignored: int = 0
    expired: int = 0


def resume_offset(
    tail: Iterable[TailAnswer], requests: Requests, earliest: int, end: int, window: int = WINDOW
) -> ResumePoint:
    """
    The first request that the newest answers of a partition, ``tail``, leave out.

    The partition holds the requests from ``earliest`` to before ``end``. A hole is looked for between the lowest and
    the highest answer in the window; without one the start is behind the highest, without answers at ``earliest``.
    """
    answers = list(tail)
    real = _standing([answer for answer in answers if 0 <= answer.offset < end], requests, earliest)
    ignored = sum(1 for answer in answers if answer.offset not in real)
    if not real:
        return ResumePoint(earliest, ignored)
    highest = max(real)
    near = {offset for offset in real if offset > highest - window}
    missing = [offset for offset in range(min(near), highest) if offset not in near]
    open_ones = [offset for offset in missing if offset >= earliest]
    owed = requests(open_ones[0], highest) if open_ones else {}
    first = next((offset for offset in open_ones if offset in owed), max(highest + 1, earliest))
    expired = sum(1 for offset in missing if offset < earliest) + max(0, earliest - highest - 1)
    return ResumePoint(first, ignored, expired)


def _standing(answers: list[TailAnswer], requests: Requests, earliest: int) -> set[int]:
    """
    The offsets whose answers count.

    One log holds the same up to any record that it has; so where the highest answer's request stands, all others'
    do. A request that expired cannot be asked for any more, and the start lies behind it anyway.
    """
    offsets = {answer.offset for answer in answers}
    highest = max(offsets, default=-1)
    if highest < earliest:
        return offsets
    at_highest = requests(highest, highest + 1).get(highest)
    if any(answer.answers(at_highest) for answer in answers if answer.offset == highest):
        return offsets
    standing = requests(max(earliest, min(offsets)), highest)
    return {answer.offset for answer in answers if answer.answers(standing.get(answer.offset))}
