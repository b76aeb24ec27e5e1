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

    def superseded(self, look: Look) -> str | None:
        """Why to begin anew: the server is back, or another release serves, be its number higher or lower."""
        for process, release in look.others.items():
            if self.answering or release != self.release:
                since = look.at - self._first.setdefault(process, look.at)
                if since >= FENCE_S:
                    return f"release {release} answers for {since:.0f} s"
        return None
