"""
Where a starting server begins, computed from what the answers topic shows.

Each writer's answers are a prefix of its requests in order, and each began at the first request unanswered at its
start; so below the highest answered request there is no hole, unless one of those promises was broken. The window is
searched for a hole all the same. It is measured from the highest answer, so that a late repeat by an old server that
was paused throws the start back by at most the window.
"""

from collections.abc import Iterable

WINDOW = 4096  # answers of a partition that are read back


def first_unanswered(answered: Iterable[int], window: int = WINDOW) -> int | None:
    """
    The first input offset that the newest ``answered`` offsets of a partition leave out; None when there are none.

    That is the first one missing between the lowest and the highest of them, or the one after the highest.
    """
    seen = set(answered)
    if not seen:
        return None
    highest = max(seen)
    near = {offset for offset in seen if offset > highest - window}
    return next(offset for offset in range(min(near), highest + 2) if offset not in near)
