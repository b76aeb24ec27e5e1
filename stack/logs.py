"""
Log files of the services: the newest lines, the line that names an error, following them as they grow, their bound.

Every log is appended to, so that it can be cut while a service writes to it.
"""

import os
import shutil
from collections import deque
from collections.abc import Iterator
from pathlib import Path

from apps.common.errors import BatonError
from apps.common.log_lines import worst_of
from apps.common.waiting import pause

FOLLOW_EVERY_S = 0.3
TAIL_BYTES = 16 * 1024
WORST_OF = 40  # lines
LOG_LIMIT = 20 * 1024 * 1024  # bytes; as much is kept beside it
OLD = ".1"  # behind the name of a log: what was cut off it last


def size_of(log: Path) -> int:
    """How long a log is, in bytes; 0 when there is none."""
    try:
        return log.stat().st_size
    except FileNotFoundError:
        return 0


def last_lines(log: Path, count: int, size: int = TAIL_BYTES, offset: int = 0) -> list[str]:
    """
    The newest ``count`` lines in the last ``size`` bytes of a log, without a line cut in two; none of no log.

    Of its first ``offset`` bytes nothing is read, unless it was begun anew since and is shorter.
    """
    try:
        with log.open("rb") as file:
            length = log.stat().st_size
            whole = offset if offset <= length else 0
            begin = max(whole, length - size)
            file.seek(begin)
            lines = file.read().decode(errors="replace").splitlines()
    except FileNotFoundError:
        return []
    if begin > whole and len(lines) > 1:
        del lines[0]
    return [line for line in lines if line.strip()][-count:]


def search(log: Path, offset: int, text: str) -> tuple[bool, int]:
    """Whether ``text`` was written to a log after its first ``offset`` bytes; and the offset to search on from."""
    wanted = text.encode()
    try:
        with log.open("rb") as file:
            begin = offset if offset <= log.stat().st_size else 0  # it was cut and begun anew
            file.seek(begin)
            new = file.read()
    except FileNotFoundError:
        return False, 0
    found = new.find(wanted)
    return found >= 0, begin + (found if found >= 0 else max(0, len(new) - len(wanted) + 1))


def bound(folder: Path, limit: int = LOG_LIMIT) -> None:
    """
    Cut every log in ``folder`` that has more than ``limit`` bytes; what is cut off is kept beside it until the next.

    Whoever writes to a log is not asked and goes on at its new beginning; a line that is written just then may be lost.
    """
    for log in folder.glob("*.log"):
        if log.stat().st_size > limit:
            with log.open("rb") as whole, log.with_name(f"{log.name}{OLD}").open("wb") as old:
                shutil.copyfileobj(whole, old)
            os.truncate(log, 0)


def worst_line(log: Path, offset: int = 0) -> str:
    """The newest line that names an error, or the newest line, of those behind a log's first ``offset`` bytes."""
    return worst_of(last_lines(log, WORST_OF, offset=offset))


def read(folder: Path, service: str, lines: int, *, follow: bool) -> Iterator[tuple[str, str]]:
    """
    The last ``lines`` of ``<folder>/<service>.log``, or of every log there when ``service`` is empty.

    With ``follow`` it goes on with what is appended, and with a log that was cut and begun anew.
    """
    known_files = sorted(folder.glob("*.log"))
    files = [file for file in known_files if service in ("", file.stem)]
    if not files:
        if not known_files:
            raise BatonError("there must be logs; got none yet; ./baton up starts the stack")
        known = ", ".join(file.stem for file in known_files)
        raise BatonError(f"service must be one with a log; got {service!r}; there are: {known}")
    return _read(files, lines, follow=follow)


def _read(files: list[Path], lines: int, *, follow: bool) -> Iterator[tuple[str, str]]:
    places = {}
    for file in files:
        with file.open(errors="replace") as opened:
            for line in deque(opened, lines):
                yield file.stem, line.rstrip("\n")
            places[file] = opened.tell()
    while follow:
        pause(FOLLOW_EVERY_S)
        for file, place in places.items():
            with file.open(errors="replace") as opened:
                opened.seek(place if file.stat().st_size >= place else 0)
                for line in opened:
                    yield file.stem, line.rstrip("\n")
                places[file] = opened.tell()
