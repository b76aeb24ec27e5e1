"""
When a standby makes room, decided from the same looks at the topics as a server's own rules.

Whoever answers what is asked now, and still does some seconds later, is back, however seldom somebody asks; one that
is minutes behind is not.
"""

from dataclasses import dataclass, field

from apps.prediction_server.progress_rules import Look, ProgressRules

FENCE_S = 5  # a process must have answered for this long before a standby makes room for it
RETURNS_S = 10  # a server whose broker was away needs this long to answer again


@dataclass
class StandbyRules(ProgressRules):
    """Those of a standby, which is ``answering`` or looks on."""

    answering: bool = False
    _first: dict[str, float] = field(default_factory=dict)  # process -> when it was first seen to answer
    _last: tuple[int, float] | None = None  # another release that answered last, and since when it is known

    def superseded(self, look: Look) -> str | None:
        """Why to begin anew: the server is back, or another release serves, be its number higher or lower."""
        return self._back(look) if self.answering else self._followed(look)

    def _back(self, look: Look) -> str | None:
        for process, release in look.others.items():
            since = look.at - self._first.setdefault(process, look.at)
            if since >= FENCE_S:
                return f"release {release} answers for {since:.0f} s"
        return None

    def _followed(self, look: Look) -> str | None:
        """In a topic where nobody asks, what a roll-out leaves are the answers to its last probe, and no more."""
        releases = set(look.others.values())
        if releases and max(releases) == self.release:  # alone, or beside an older one that makes room
            self._last = None
        elif others := releases - {self.release}:
            self._last = self._last or (max(others), look.at)
        if self._last and look.at - self._last[1] >= FENCE_S:
            return f"release {self._last[0]} answered last"
        return None
