"""
The orchestrator port in embedded mode: wishes in files that the supervisor fulfils.

A watcher writes what it wants; the supervisor (the second half of the class) reads it, acts, and writes what came of
it. Nothing is remembered in a process, so either side can be killed anywhere and started again.

    <state>/orchestrator/training.json            the newest training; while it is under way no other can be asked for
    <state>/orchestrator/trainings/<hash>.json    the trainings before it, by content hash
    <state>/orchestrator/release.json             the newest release asked for, and how its last try ended
    <state>/orchestrator/served.json              the release that answers; the only place that says so
"""

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from apps.common.exit_codes import Outcome
from apps.common.target import Target
from apps.orchestrator.port import ABSENT, Failure, Release, ReleaseState, Served, TrainingState, TrainingStatus
from apps.orchestrator.state_files import StateFiles

_TRAINING, _RELEASE, _SERVED = "training.json", "release.json", "served.json"


@dataclass(frozen=True)
class TrainingRequest:
    """A training that was asked for; ``pid`` and ``created`` (the process's start time) name the trainer that runs."""

    batch: str
    content_hash: str
    attempt: int
    state: TrainingState = TrainingState.REQUESTED
    pid: int | None = None
    created: float | None = None
    failure: Failure | None = None

    @property
    def status(self) -> TrainingStatus:
        """What the port tells of it."""
        return TrainingStatus(self.state, self.attempt, self.batch, self.failure)


def _training(raw: dict[str, Any]) -> TrainingRequest:
    told = {**raw, "state": TrainingState(raw["state"]), "failure": _failure(raw.get("failure"))}
    return TrainingRequest(**told)


def _release(raw: dict[str, Any]) -> Release:
    state = ReleaseState(raw["state"])
    return Release(int(raw["release"]), Target.from_json(raw), state, _failure(raw.get("failure")))


def _failure(raw: dict[str, Any] | None) -> Failure | None:
    return Failure(**{**raw, "outcome": Outcome(raw["outcome"])}) if raw else None


class EmbeddedOrchestrator:
    """Both sides of the state folder: the port's four verbs for the watchers, the rest for the supervisor."""

    def __init__(self, state: Path) -> None:
        """``state`` is the stack's state folder."""
        self._files = StateFiles(state / "orchestrator")

    # The port.

    def start_training(self, batch: str, content_hash: str) -> None:
        """Ask for a training of ``batch``; does nothing while any training is requested or running."""
        with self._files.locked():
            newest = self._newest_training()
            if newest and newest.state.under_way:
                return
            before = self.trainings().get(content_hash, ABSENT)
            if newest:  # kept before it is overwritten: killed in between, it is merely there twice
                self._files.write(f"trainings/{newest.content_hash}.json", asdict(newest))
            attempt, failure = (before.attempts + 1, before.failure) if before.batch == batch else (1, None)
            self._files.write(_TRAINING, asdict(TrainingRequest(batch, content_hash, attempt, failure=failure)))

    def trainings(self) -> Mapping[str, TrainingStatus]:
        """The status of every training, by the content hash of its batch."""
        newest = self._newest_training()
        remembered = [*self._files.read_all("trainings", _training), *([newest] if newest else [])]
        return {training.content_hash: training.status for training in remembered}

    def served(self) -> Served:
        """What serves now and what was last asked for."""
        return Served(self._serving(), self.wanted_release())

    def roll_out(self, target: Target) -> int:
        """Ask for a release of ``target``, unless the newest one asked for is of that very target and did not fail."""
        with self._files.locked():
            serving, wanted = self._serving(), self.wanted_release()
            if wanted and wanted.target == target and wanted.state is not ReleaseState.FAILED:
                return wanted.release
            number = 1 + max((release.release for release in (serving, wanted) if release), default=0)
            self._files.write(_RELEASE, asdict(Release(number, target, ReleaseState.STARTING)))
            return number

    # The supervisor's side.

    def pending_training(self) -> TrainingRequest | None:
        """The training that waits for a trainer."""
        newest = self._newest_training()
        return newest if newest and newest.state is TrainingState.REQUESTED else None

    def running_training(self) -> TrainingRequest | None:
        """The training marked as running; a supervisor that finds its process gone marks it as failed."""
        newest = self._newest_training()
        return newest if newest and newest.state is TrainingState.RUNNING else None

    def mark_training(
        self, content_hash: str, state: TrainingState, pid: int | None = None, created: float | None = None
    ) -> None:
        """
        Say where the newest training stands; does nothing for any other, which is long over.

        A trainer that was stopped on purpose is marked ``requested`` again, and its attempt is not counted twice.
        """
        with self._files.locked():
            newest = self._newest_training()
            if newest and newest.content_hash == content_hash:
                failure = None if state is TrainingState.SUCCEEDED else newest.failure
                marked = replace(newest, state=state, pid=pid, created=created, failure=failure)
                self._files.write(_TRAINING, asdict(marked))

    def fail_training(self, content_hash: str, outcome: Outcome, reason: str = "") -> None:
        """Say that the newest training failed, and how; does nothing for any other, which is long over."""
        with self._files.locked():
            newest = self._newest_training()
            if newest and newest.content_hash == content_hash:
                failure = Failure.after(newest.failure, outcome, time.time(), reason)
                failed = replace(newest, state=TrainingState.FAILED, pid=None, created=None, failure=failure)
                self._files.write(_TRAINING, asdict(failed))

    def wanted_release(self) -> Release | None:
        """The newest release asked for."""
        wanted, serving = self._files.read(_RELEASE, _release), self._serving()
        if serving and (wanted is None or wanted.release <= serving.release):
            return serving
        return wanted

    def mark_release(self, release: Release, state: ReleaseState) -> None:
        """
        Say where a release stands; ``serving`` replaces the one that served, and a late word on an older one is void.

        ``starting`` or ``failed`` for the release that serves withdraws it: nothing serves then.
        """
        with self._files.locked():
            serving, wanted = self._serving(), self.wanted_release()
            if state is ReleaseState.SERVING:
                if serving is None or serving.release <= release.release:
                    self._files.write(_SERVED, asdict(replace(release, state=state)))
                return
            if wanted is None or wanted.release == release.release:
                self._files.write(_RELEASE, asdict(replace(release, state=state)))
            if serving and serving.release == release.release:
                self._files.remove(_SERVED)

    def fail_release(self, release: int, outcome: Outcome, reason: str = "") -> None:
        """
        Say how a try of the newest release ended: it is tried again, or counts as failed when trying cannot help.

        Does nothing for any other release, which a newer wish has overtaken.
        """
        with self._files.locked():
            wanted = self._files.read(_RELEASE, _release)
            if wanted and wanted.release == release and wanted.state is ReleaseState.STARTING:
                failure = Failure.after(wanted.failure, outcome, time.time(), reason)
                state = ReleaseState.FAILED if failure.is_final else ReleaseState.STARTING
                self._files.write(_RELEASE, asdict(replace(wanted, state=state, failure=failure)))

    def _newest_training(self) -> TrainingRequest | None:
        return self._files.read(_TRAINING, _training)

    def _serving(self) -> Release | None:
        return self._files.read(_SERVED, _release)
