"""
What the CLI shows: steps with their seconds, a spinner on a terminal and plain lines everywhere else.

Reasons, names, log lines come from files, requests and other programs. So a string is shown as it stands, in a table
too: no ``[markup]``, no ``:emoji:``, no code that moves a terminal's cursor. What shall have a colour is a ``Text``.
"""

import io
import re
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

WIDE = 1000  # columns where no terminal folds a line
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")  # all but tab and line feed


class PlainConsole(Console):
    """Shows every string as it stands, and a control code in it by its number."""

    def __init__(self, **more: Any) -> None:
        """``more`` is what any console may be told."""
        super().__init__(markup=False, emoji=False, highlight=False, soft_wrap=True, **more)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """The pieces of which rich writes each; those that steer the terminal are rich's own."""
        for text, style, control in super().render(renderable, options):
            yield Segment(text if control else CONTROL.sub(lambda code: repr(code[0])[1:-1], text), style, control)


out = PlainConsole()
err = PlainConsole(stderr=True)


def show(part: Table | str) -> None:
    """Print a table or a text: folded on a terminal, however narrow, and one line per row into a pipe."""
    if isinstance(part, str):
        out.print(part)
        return
    for column in part.columns:
        column.overflow = "fold"
    if out.is_terminal:
        out.print(part, soft_wrap=False)
        return
    text = io.StringIO()
    PlainConsole(width=WIDE, file=text).print(part, soft_wrap=False)
    print("\n".join(line.rstrip() for line in text.getvalue().splitlines()), file=out.file)


class StepLine:
    """A step under way: its line says ``note`` beside the title."""

    def __init__(self, title: str, show: Callable[[Text], None]) -> None:
        """``show`` redraws the line of a step that is still under way."""
        self.title = title
        self.note = ""
        self._show = show

    def update(self, note: str) -> None:
        """Say how far the step is, or what came of it."""
        self.note = note
        self._show(Text.assemble(self.title, "  ", (note, "dim")))


@contextmanager
def step(title: str) -> Iterator[StepLine]:
    """Show ``title`` while the block runs, then its outcome and seconds, on standard error."""
    started = time.monotonic()
    try:
        if err.is_terminal:
            with err.status(Text(title)) as status:
                current = StepLine(title, status.update)
                yield current
        else:
            err.print(f"… {title}")
            current = StepLine(title, lambda _: None)
            yield current
    except BaseException:
        err.print(_outcome(("✗", "red"), title, started))
        raise
    note = f"  {current.note}" if current.note else ""
    err.print(_outcome(("✓", "green"), f"{title}{note}", started))


def _outcome(mark: tuple[str, str], line: str, started: float) -> Text:
    return Text.assemble(mark, f" {line}  ", (f"{time.monotonic() - started:.1f} s", "dim"))
