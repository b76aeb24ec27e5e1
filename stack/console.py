"""What the CLI shows: steps with their seconds, a spinner on a terminal and plain lines everywhere else."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from rich.console import Console

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)


@dataclass
class Step:
    """A step under way; ``note`` is what its line says at the end, beside its title."""

    title: str
    note: str = ""

    def update(self, note: str) -> None:
        """Say how far the step is."""
        self.note = note
        if _status is not None:
            _status.update(f"{self.title} [dim]{note}[/]")


_status = None


@contextmanager
def step(title: str) -> Iterator[Step]:
    """Show ``title`` while the block runs, then its outcome and seconds, on standard error."""
    global _status  # noqa: PLW0603 - one terminal, one line that moves
    current, started = Step(title), time.monotonic()
    try:
        if err.is_terminal:
            with err.status(title) as _status:
                yield current
        else:
            err.print(f"  … {title}")
            yield current
    except BaseException:
        err.print(f"[red]✗[/] {title} [dim]{time.monotonic() - started:.1f} s[/]")
        raise
    finally:
        _status = None
    note = f"  {current.note}" if current.note else ""
    err.print(f"[green]✓[/] {title}{note} [dim]{time.monotonic() - started:.1f} s[/]")


def fail(message: str) -> None:
    """Print an error and end with exit code 1."""
    err.print(f"[red]error:[/] {message}", markup=True)
    sys.exit(1)
