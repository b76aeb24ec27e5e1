"""The exit codes of the apps, and the outcome that each stands for: whoever starts an app decides by these."""

import signal
from contextlib import suppress
from enum import StrEnum

DONE = 0
FAILED = 1  # something outside has to be mended first; the log says what. Python's own, when a module is missing
NOTHING_LEFT = 3  # the batch dropper: every slice has been dropped
REFUSED = 65  # sysexits.h: EX_DATAERR
CRASHED = 70  # sysexits.h: EX_SOFTWARE
_SIGNALLED = 128  # a shell, or a container's first process, adds the number of the signal
_STOPS = ("SIGTERM", "SIGINT")


class Outcome(StrEnum):
    """What came of a process that did not do what it was started for."""

    REFUSED = "refused"  # what it was given is at fault: trying again cannot help
    COULD_NOT = "could not"  # something outside has to be mended: try again later, as often as it takes
    CRASHED = "crashed"  # by itself or by a signal: try again a few times


def outcome_of(code: int | None) -> Outcome | None:
    """
    What an exit code says; None for DONE.

    ``code`` is negative for a signal, as in subprocess, and None when nobody saw the end: that is no sign of a crash.
    Nor is a process that was asked to end, by a person, a node that is drained or a machine that goes down.
    """
    if code == DONE:
        return None
    if code in (None, FAILED) or signal_name(code) in _STOPS:
        return Outcome.COULD_NOT
    return Outcome.REFUSED if code == REFUSED else Outcome.CRASHED


def signal_name(code: int | None) -> str:
    """The signal that ended a process, as SIGKILL; empty when none did."""
    number = -code if code and code < 0 else (code or 0) - _SIGNALLED
    with suppress(ValueError):
        return signal.Signals(number).name
    return ""
