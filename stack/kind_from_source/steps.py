"""The one loop that every list of steps runs through: one line each, and a step that is done is not done again."""

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from apps.common.errors import Unavailable

Note = Callable[[str], None]


class Line(Protocol):
    """A step's line on the screen."""

    def update(self, note: str, /) -> None:
        """Say how far the step is."""


Report = Callable[[str], AbstractContextManager[Line]]


@dataclass(frozen=True)
class BuildStep:
    """Something to make: ``done`` tells by looking at the outcome alone whether it is there, ``make`` makes it."""

    title: str
    done: Callable[[], bool]
    make: Callable[[Note], None]


def run(steps: Iterable[BuildStep], report: Report) -> None:
    """Make what is not there, in order; the first step that fails ends the run."""
    for step in steps:
        with report(step.title) as line:
            if step.done():
                line.update("already there")
                continue
            step.make(line.update)
            if not step.done():
                message = f"{step.title} must be there once it is made; got nothing; run it again"
                raise Unavailable(message)
            line.update("made")
