"""
What to do next with the prediction server: a pure decision on what is seen.

Make before break: the next release runs beside the one that serves until it is ready. One that ends before, or is not
ready in time, is tried again after a while or given up, as the outcome says, and the one that serves goes on.
"""

from dataclasses import dataclass
from enum import Enum, auto

from apps.orchestrator.port import Release, ReleaseState

READY_S = 240  # twice what a start took on two cores with a load of thirteen; a backlog may take longer
FROZEN_S = 20  # a ready server shows a sign of life each second


class Action(Enum):
    """What to do next."""

    NOTHING = auto()
    RESTART = auto()  # start the release that serves, as it died or was never there
    REPLACE = auto()  # end the release that serves: it hangs
    BEGIN = auto()  # start the wanted release beside the one that serves
    ABANDON = auto()  # end the next release: a newer one is wanted
    FAIL = auto()  # end what is left of the next release, and write down how it ended
    SWITCH = auto()  # the next release answers: it serves, and the old one ends


@dataclass(frozen=True)
class Seen:
    """
    A server as it looks now.

    ``tries`` counts its starts, ``silent`` the seconds since the newest of them, or since its newest sign of life.
    """

    release: int
    alive: bool
    ready: bool
    silent: float
    tries: int


def next_action(  # noqa: PLR0911 - rules, the first one holds
    serving: Seen | None, following: Seen | None, wanted: Release | None, *, due: bool, next_due: bool
) -> Action:
    """
    Decide; ``due``: the time for another start of the release that serves has come; ``next_due``: of the wanted one.

    ``serving`` is None before its first start.
    """
    open_wish = wanted if wanted and wanted.state is not ReleaseState.FAILED else None
    if following:
        answers = following.ready and following.alive
        alone = answers and (serving is None or not serving.alive)
        if open_wish and open_wish.release > following.release and not alone:
            return Action.ABANDON
        if answers:
            return Action.SWITCH
        if not following.alive or following.silent > READY_S:
            return Action.FAIL
    if serving is None or not serving.alive:
        return Action.RESTART if due else Action.NOTHING
    if serving.silent > (FROZEN_S if serving.ready else READY_S):
        return Action.REPLACE
    settled = serving.ready or serving.tries > 1  # two JVMs starting at once on a small machine delay each other
    if not following and open_wish and open_wish.release > serving.release and settled and next_due:
        return Action.BEGIN
    return Action.NOTHING
