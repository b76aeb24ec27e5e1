"""``./baton logs``: the newest lines of each service's log, each line with its service's name."""

from collections import deque
from pathlib import Path

from apps.common.errors import BatonError
from apps.common.waiting import pause
from stack.cli.console import out

FOLLOW_EVERY_S = 0.3


def _print(service: str, line: str) -> None:
    out.print(f"{service:20} ", style="dim", end="")
    out.print(line.rstrip("\n"), markup=False)


def show(folder: Path, service: str, lines: int, *, follow: bool) -> None:
    """Print the last ``lines`` of one log or of all; with ``follow`` go on until Ctrl-C."""
    files = sorted(folder.glob(f"{service or '*'}.log"))
    if not files:
        known = ", ".join(sorted(file.stem for file in folder.glob("*.log"))) or "none yet; ./baton up starts the stack"
        raise BatonError(f"service must be one with a log; got {service or 'none'!r}; there are: {known}")
    places = {}
    for file in files:
        with file.open(errors="replace") as opened:
            for line in deque(opened, lines):
                _print(file.stem, line)
            places[file] = opened.tell()
    while follow:
        pause(FOLLOW_EVERY_S)
        for file, place in places.items():
            with file.open(errors="replace") as opened:
                opened.seek(place if file.stat().st_size >= place else 0)
                for line in opened:
                    _print(file.stem, line)
                places[file] = opened.tell()
