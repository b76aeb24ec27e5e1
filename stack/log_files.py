"""What a log says about a failure: the newest lines, and the one that names the error."""

import re
from pathlib import Path

TAIL_BYTES = 16 * 1024
TELLING = re.compile(r"error|exception|fatal|refused|failed|address already in use", re.IGNORECASE)
TRACE = re.compile(r"^\s+(at |File |\.\.\.)")


def last_lines(log: Path, count: int) -> list[str]:
    """The newest ``count`` lines of a log; none when there is no log."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - TAIL_BYTES))
            lines = file.read().decode(errors="replace").splitlines()
    except FileNotFoundError:
        return []
    return [line for line in lines if line.strip()][-count:]


def contains(log: Path, offset: int, text: str) -> bool:
    """Whether ``text`` was written to a log after its first ``offset`` bytes."""
    try:
        with log.open("rb") as file:
            file.seek(offset if offset <= log.stat().st_size else 0)  # it was put away and begun anew
            return text.encode() in file.read()
    except FileNotFoundError:
        return False


def worst_line(log: Path) -> str:
    """The newest line that names an error, or the newest line."""
    lines = last_lines(log, 40)
    telling = [line for line in lines if TELLING.search(line) and not TRACE.match(line)]
    return (telling or lines or [""])[-1].strip()[:300]
