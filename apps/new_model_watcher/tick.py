"""
What one tick decides: the alias is the truth, and whatever serves follows it, forwards and back.

It compares with the release that was last asked for, not with what answers at the moment: a roll-out takes a while,
and asking again would start it over.
"""

from dataclasses import dataclass

from apps.common.target import Target
from apps.orchestrator.port import ReleaseState, Served


@dataclass(frozen=True)
class RollOut:
    """Ask for a release of ``target``."""

    target: Target


@dataclass(frozen=True)
class GivenUp:
    """The release of the champion failed: its version is not tried again until the alias has pointed elsewhere."""

    target: Target
    release: int
    reason: str = ""


VersionAction = RollOut | GivenUp


def decide(champion: Target | None, served: Served) -> VersionAction | None:
    """
    What to do now; None when what is wanted is under way or done.

    Versions of one number are told apart by model, run and manifest: a registered model may have begun again.

    A failed version is left by a release of whatever the alias points at next, also when that one serves already:
    only so does the newest release say, without anything being remembered here, that the alias has moved since.
    """
    wanted = served.wanted
    if champion is None:
        return None
    if wanted is None or wanted.target != champion:
        return RollOut(champion)
    if wanted.state is not ReleaseState.FAILED:
        return None
    return GivenUp(champion, wanted.release, wanted.failure.reason if wanted.failure else "")
