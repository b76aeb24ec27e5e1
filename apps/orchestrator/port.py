"""The orchestrator port: everything a watcher may ask of whatever runs the trainer and the server."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from apps.common.exit_codes import Outcome
from apps.common.target import Target

MAX_CRASHES = 3
FIRST_RETRY_S = 5.0
LONGEST_RETRY_S = 300.0


class TrainingState(StrEnum):
    """Where the training of one batch stands."""

    ABSENT = "absent"
    REQUESTED = "requested"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"

    @property
    def under_way(self) -> bool:
        """Whether it was asked for and has not ended; no other training may be asked for meanwhile."""
        return self in {TrainingState.REQUESTED, TrainingState.RUNNING}


class ReleaseState(StrEnum):
    """Where a release stands."""

    STARTING = "starting"  # also while it waits to be tried again
    SERVING = "serving"
    FAILED = "failed"


@dataclass(frozen=True)
class Failure:
    """
    How the newest try of a training or of a release ended, of one that has not succeeded since.

    ``at`` is in seconds since 1970. ``tries`` is how many have failed so far, and ``crashes`` how many of them crashed:
    only these count against it. ``reason`` is one line, empty when nothing is known.
    """

    outcome: Outcome
    at: float
    reason: str = ""
    tries: int = 1
    crashes: int = 0

    @classmethod
    def after(cls, before: "Failure | None", outcome: Outcome, at: float, reason: str = "") -> "Failure":
        """One more failure; ``before`` is the one before it."""
        tries, crashes = (before.tries, before.crashes) if before else (0, 0)
        return cls(outcome, at, reason, tries + 1, crashes + (outcome is Outcome.CRASHED))

    @property
    def is_final(self) -> bool:
        """Whether trying again is given up: what was tried is at fault, or has crashed too often."""
        return self.outcome is Outcome.REFUSED or self.crashes >= MAX_CRASHES

    def is_due(self, now: float) -> bool:
        """Whether it may be tried again; a failure of the future is one of a clock that was set back since."""
        return now >= self.retry_at or now < self.at - FIRST_RETRY_S

    @property
    def retry_at(self) -> float:
        """When it may be tried again, in seconds since 1970: the wait doubles with each try, up to a limit."""
        doublings = min(self.tries - 1, 16)  # a power that no float overflows
        return self.at + min(FIRST_RETRY_S * 2.0**doublings, LONGEST_RETRY_S)


@dataclass(frozen=True)
class TrainingStatus:
    """
    The state of a batch's training, how many times it was started, and for which batch name the last time.

    ``failure`` is how the newest try ended that has ended; None when none has failed.
    """

    state: TrainingState
    attempts: int = 0
    batch: str = ""
    failure: Failure | None = None


ABSENT = TrainingStatus(TrainingState.ABSENT)


@dataclass(frozen=True)
class Release:
    """One roll-out of a version: its number only grows. ``failure`` is how its newest try ended, as far as known."""

    release: int
    target: Target
    state: ReleaseState
    failure: Failure | None = None

    @property
    def version(self) -> str:
        """The number of the version."""
        return self.target.version


@dataclass(frozen=True)
class Served:
    """``serving`` answers now (None: no version yet); ``wanted`` is the newest release asked for."""

    serving: Release | None
    wanted: Release | None


class Orchestrator(Protocol):
    """Four verbs; each may be called again with the same arguments and changes nothing the second time."""

    def start_training(self, batch: str, content_hash: str) -> None:
        """Ask for a training of ``batch``; does nothing while any training is requested or running."""

    def trainings(self) -> Mapping[str, TrainingStatus]:
        """The status of every training that is remembered, by the content hash of its batch."""

    def served(self) -> Served:
        """What serves now and what was last asked for."""

    def roll_out(self, target: Target) -> int:
        """
        Ask for a release of ``target``; its number, which is greater than any before.

        Changes nothing when the newest release asked for is of that very target and did not fail.
        """
