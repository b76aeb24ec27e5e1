"""What came of a process that has ended, from its exit code, what it wrote, and how the platform was at that moment."""

from dataclasses import dataclass
from pathlib import Path

from apps.common.exit_codes import Outcome, outcome_of, signal_name
from stack.logs import worst_line

UNSEEN = "nobody saw how it ended: the supervisor was away"


@dataclass(frozen=True)
class Ending:
    """How a process ended that did not do what it was started for, and why in one line."""

    outcome: Outcome
    reason: str


def ending(code: int | None, log: Path, log_start: int, unwell: set[str]) -> Ending:
    """
    Judge a process by its exit code, which is None for one that the supervisor did not start itself.

    ``log_start`` is how long the log was, in bytes, when it was started; ``unwell`` are the services that it needs
    and that were not ready when it ended: while there are any, a crash says nothing about the process.
    """
    outcome = outcome_of(code) or Outcome.COULD_NOT  # done is not what it was started for
    said = worst_line(log, log_start)
    by_signal = signal_name(code)
    reason = UNSEEN if code is None else f"ended by {by_signal}" if by_signal else said or f"exit code {code}"
    return crash(reason, unwell) if outcome is Outcome.CRASHED else Ending(outcome, reason)


def crash(reason: str, unwell: set[str]) -> Ending:
    """A crash; also the end of a process that was killed because its time was over."""
    if not unwell:
        return Ending(Outcome.CRASHED, reason)
    return Ending(Outcome.COULD_NOT, f"{reason}; not ready at that moment: {', '.join(sorted(unwell))}")
