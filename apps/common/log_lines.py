"""Which line of a log tells most of what went wrong."""

import re
from collections.abc import Sequence

SHOWN = 300  # characters
TELLING = re.compile(r"error|exception|fatal|refused|failed|address already in use", re.IGNORECASE)
TRACE = re.compile(r"^\s+(at |File |\.\.\.)")


def worst_of(lines: Sequence[str]) -> str:
    """The newest line that names an error, or the newest line; empty when there is none."""
    said = [line for line in lines if line.strip()]
    telling = [line for line in said if TELLING.search(line) and not TRACE.match(line)]
    return (telling or said or [""])[-1].strip()[:SHOWN]
