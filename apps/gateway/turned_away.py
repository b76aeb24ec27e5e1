"""What is told to a client whose request is not answered, in one form at every door."""

from collections.abc import Mapping
from reprlib import Repr
from typing import Any

from apps.common.errors import BatonError

RETRY = {"Retry-After": "1"}


class TurnedAway(BatonError):
    """A request that ends with an HTTP status of its own: ``{"error": ..., **told}``."""

    def __init__(self, status: int, error: str, headers: Mapping[str, str] | None = None, **told: Any) -> None:
        """``error`` is for people, ``told`` for programs."""
        super().__init__(error)
        self.status = status
        self.headers = dict(headers or {})
        self.told = told


def malformed(rule: str, got: object, remedy: str = "") -> TurnedAway:
    """A body, an id or a header that is not what the protocol wants."""
    return TurnedAway(400, "; ".join(filter(None, [f"{rule}; got {shown(got)}", remedy])))


def shown(got: object) -> str:
    """What a client sent, for an error."""
    text = BRIEF.repr(got)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."


def require_narrow(columns: int) -> None:
    """Raise TurnedAway for a row of more columns than any dataset has."""
    if columns > COLUMNS:
        raise TurnedAway(413, f"a row must have at most {COLUMNS} columns; got {columns}; send those of the dataset")


def require_few(rows: int, most: int, got: object = None) -> None:
    """Raise TurnedAway for more rows than ever wait at a time, or ``got``: asked as soon as that is known."""
    if rows > most:
        raise TurnedAway(413, f"a request must have at most {most} rows; got {got or rows}; send several")


SHOWN = 120  # characters of what a client sent, in an error
COLUMNS = 256  # no dataset has so many; a cell takes microseconds
BRIEF = Repr()  # a body may be millions of elements, of which a few are shown
BRIEF.maxlist = BRIEF.maxdict = SHOWN
BRIEF.maxstring = BRIEF.maxlong = BRIEF.maxother = 4 * SHOWN
