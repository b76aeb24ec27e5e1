"""How many requests a second are due when, of a load that is steady, rises in steps, or has a spike: plain numbers."""

from enum import StrEnum

PARTS = 5  # of the time: the steps, or what a spike is the middle one of


class LoadShape(StrEnum):
    """The course of a load; none is ever above its rate."""

    STEADY = "steady"
    STEPS = "steps"
    SPIKE = "spike"


def rate_at(shape: LoadShape, rate: int, seconds: float, elapsed: float) -> int:
    """
    Requests a second that are due ``elapsed`` seconds after the start of a load that takes ``seconds``.

    Steps rise to ``rate`` by fifths of it; a spike is the middle fifth of the time at ``rate``, before and after which
    a fifth of it is due. Nothing is due before the start and after the end; at least one a second is in between.
    """
    if not 0 <= elapsed < seconds:
        return 0
    part = int(elapsed / seconds * PARTS)
    share = {LoadShape.STEADY: PARTS, LoadShape.STEPS: part + 1, LoadShape.SPIKE: PARTS if part == PARTS // 2 else 1}
    return max(1, rate * share[shape] // PARTS)
