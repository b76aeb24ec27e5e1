"""What is told to a client whose request is not answered, in one form at every door."""

from collections.abc import Mapping
from typing import Any

from apps.common.errors import BatonError


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
    text = repr(got)
    shown = text if len(text) <= SHOWN else f"{text[:SHOWN]}..."
    return TurnedAway(400, "; ".join(filter(None, [f"{rule}; got {shown}", remedy])))


SHOWN = 120  # characters of what a client sent, in an error
