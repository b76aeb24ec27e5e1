"""What the CLI shows: steps with their seconds, a spinner on a terminal and plain lines everywhere else."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.table import Table

WIDE = 1000  # columns where no terminal folds a line
out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)


def show(part: Table | str) -> None:
    """Print a table or a text: folded on a terminal, however narrow, and one line per row into a pipe."""
    if isinstance(part, str):
        out.print(part, markup=False)
        return
    for column in part.columns:
        column.overflow = "fold"
    console = out if out.is_terminal else Console(file=out.file, highlight=False, width=WIDE)
    console.print(part, soft_wrap=False)


class StepLine:
    """A step under way: its line says ``note`` beside the title."""

    def __init__(self, title: str, show: Callable[[str], None]) -> None:
        """``show`` redraws the line of a step that is still under way."""
        self.title = title
        self.note = ""
        self._show = show

    def update(self, note: str) -> None:
        """Say how far the step is, or what came of it."""
        self.note = note
        self._show(f"{escape(self.title)}  [dim]{escape(note)}[/]")


@contextmanager
def step(title: str) -> Iterator[StepLine]:
    """Show ``title`` while the block runs, then its outcome and seconds, on standard error."""
    started = time.monotonic()
    try:
        if err.is_terminal:
            with err.status(escape(title)) as status:
                current = StepLine(title, status.update)
                yield current
        else:
            err.print(f"… {escape(title)}")
            current = StepLine(title, lambda _: None)
            yield current
    except BaseException:
        err.print(f"[red]✗[/] {escape(title)}  [dim]{time.monotonic() - started:.1f} s[/]")
        raise
    note = f"  {current.note}" if current.note else ""
    err.print(f"[green]✓[/] {escape(title + note)}  [dim]{time.monotonic() - started:.1f} s[/]")
