"""The fault table as it was played: what was done, and what it cost those who waited for answers."""

import time
from dataclasses import dataclass, field

from loadtest.ledger import Verdict
from loadtest.timing import longest, silences

WELL_S = 1.0  # an answer that comes within it is one of a server that is well again
HEAD = ("what was done", "requests", "missing", "wrong", "twice", "longest silence s", "well again after s")


@dataclass
class PlayedFault:
    """
    One fault: from when it was played (seconds since 1970), and what its requests met.

    ``silence_s`` is the longest of a partition. ``well_after_s`` is from the fault until the last answer that came
    later than WELL_S after its request. ``wrong`` is None until the values were compared.
    """

    what: str
    began: float
    acked: int
    missing: int
    repeats: int
    silence_s: float
    well_after_s: float
    wrong: int | None = None

    @classmethod
    def of(cls, what: str, began: float, verdict: Verdict) -> "PlayedFault":
        """What a whole run met whose one fault began then."""
        return cls.of_waits(what, began, verdict.waits, verdict.repeats)

    @classmethod
    def of_waits(cls, what: str, began: float, waits, repeats: int = 0) -> "PlayedFault":
        """The same of some requests."""
        gap = longest(silences(waits, time.time()))
        late = [one.answer.seen_at for one in waits if one.answer and one.ms > WELL_S * 1000]
        return cls(
            what,
            began,
            acked=len(waits),
            missing=sum(1 for one in waits if one.answer is None),
            repeats=repeats,
            silence_s=gap.ms / 1000 if gap else 0.0,
            well_after_s=max(max(late, default=began) - began, 0.0),
        )

    def cells(self) -> tuple[str, ...]:
        """It as a line of a table."""
        wrong = "-" if self.wrong is None else str(self.wrong)
        counts = (f"{self.acked:,}", str(self.missing), wrong, f"{self.repeats:,}")
        return (self.what, *counts, f"{self.silence_s:.2f}", f"{self.well_after_s:.1f}")


@dataclass
class FaultTable:
    """All rows, in the order in which they were played."""

    rows: list[PlayedFault] = field(default_factory=list)

    def markdown(self) -> str:
        """It as a table in Markdown."""
        lines = [HEAD, ("---",) * len(HEAD), *(row.cells() for row in self.rows)]
        return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
