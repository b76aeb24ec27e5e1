"""
Where a starting server begins, computed from what the answers topic shows.

Each writer's answers are a prefix of its requests in order, and each began at the first request unanswered at its
start; so below the highest answered request there is no hole, unless one of those promises was broken. The window is
searched for a hole all the same. It is measured from the highest answer, so that a late repeat by an old server that
was paused throws the start back by at most the window.
"""

from collections.abc import Iterable
from dataclasses import dataclass

WINDOW = 4096  # answers of a partition that are read back


@dataclass(frozen=True)
class ResumePoint:
    """
    Where to begin in one partition.

    ``ignored`` counts the offsets that no request has; ``expired`` the unanswered requests that are gone.
    """

    offset: int
    ignored: int = 0
    expired: int = 0


def resume_offset(answered: Iterable[int], earliest: int, end: int, window: int = WINDOW) -> ResumePoint:
    """
    The first request that the newest ``answered`` input offsets of a partition leave out.

    The partition holds the requests from ``earliest`` to before ``end``. A hole is looked for between the lowest and
    the highest answer in the window; without one the start is behind the highest, without answers at ``earliest``.
    An answer at or behind ``end`` is nobody's: it would make the server pass over requests that are still to come.
    """
    offsets = list(answered)
    real = {offset for offset in offsets if 0 <= offset < end}
    ignored = sum(1 for offset in offsets if offset not in real)
    if not real:
        return ResumePoint(earliest, ignored)
    highest = max(real)
    near = {offset for offset in real if offset > highest - window}
    missing = [offset for offset in range(min(near), highest) if offset not in near]
    first = next((offset for offset in missing if offset >= earliest), max(highest + 1, earliest))
    expired = sum(1 for offset in missing if offset < earliest) + max(0, earliest - highest - 1)
    return ResumePoint(first, ignored, expired)
