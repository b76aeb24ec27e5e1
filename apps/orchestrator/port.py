"""The orchestrator port: everything a watcher may ask of whatever runs the trainer and the server."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


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

    STARTING = "starting"
    SERVING = "serving"
    FAILED = "failed"


@dataclass(frozen=True)
class TrainingStatus:
    """The state of a batch's training, how many times it was started, and for which batch name the last time."""

    state: TrainingState
    attempts: int = 0
    batch: str = ""


@dataclass(frozen=True)
class Release:
    """One roll-out of a version: its number only grows."""

    release: int
    version: str
    state: ReleaseState


@dataclass(frozen=True)
class Served:
    """``serving`` answers now (None: no version yet); ``wanted`` is the newest release asked for."""

    serving: Release | None
    wanted: Release | None


class Orchestrator(Protocol):
    """Four verbs; each may be called again with the same arguments and changes nothing the second time."""

    def start_training(self, batch: str, content_hash: str) -> None:
        """Ask for a training of ``batch``; does nothing while any training is requested or running."""

    def training_state(self, content_hash: str) -> TrainingStatus:
        """The state of the training keyed by the batch's content hash."""

    def served(self) -> Served:
        """What serves now and what was last asked for."""

    def roll_out(self, version: str) -> int:
        """
        Ask for a release of ``version``; its number, which is greater than any before.

        Changes nothing when the newest release asked for is of that version and did not fail.
        """
