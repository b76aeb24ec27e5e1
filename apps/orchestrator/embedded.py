"""
The orchestrator port in embedded mode: wishes in files that the supervisor fulfils.

A watcher writes what it wants; the supervisor (the second half of the class) reads it, acts, and writes what came of
it. Nothing is remembered in a process, so either side can be killed anywhere and started again.

    <state>/orchestrator/training.json            the newest training; while it is under way no other can be asked for
    <state>/orchestrator/trainings/<hash>.json    the trainings before it, by content hash
    <state>/orchestrator/release.json             the newest release asked for, and whether it failed
    <state>/orchestrator/served.json              the release that answers; the only place that says so
"""

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from apps.orchestrator.port import Release, ReleaseState, Served, TrainingState, TrainingStatus
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
    exit_code: int | None = None

    @property
    def status(self) -> TrainingStatus:
        """What the port tells of it."""
        return TrainingStatus(self.state, self.attempt, self.batch)


def _training(raw: dict[str, Any]) -> TrainingRequest:
    return TrainingRequest(**{**raw, "state": TrainingState(raw["state"])})


def _release(raw: dict[str, Any]) -> Release:
    return Release(int(raw["release"]), str(raw["version"]), ReleaseState(raw["state"]))


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
            before = self.training_state(content_hash)
            if newest:  # kept before it is overwritten: killed in between, it is merely there twice
                self._files.write(f"trainings/{newest.content_hash}.json", asdict(newest))
            attempt = before.attempts + 1 if before.batch == batch else 1
            self._files.write(_TRAINING, asdict(TrainingRequest(batch, content_hash, attempt)))

    def training_state(self, content_hash: str) -> TrainingStatus:
        """The state of the training keyed by the batch's content hash."""
        newest = self._newest_training()
        if newest and newest.content_hash == content_hash:
            return newest.status
        earlier = self._files.read(f"trainings/{content_hash}.json", _training)
        return earlier.status if earlier else TrainingStatus(TrainingState.ABSENT)

    def served(self) -> Served:
        """What serves now and what was last asked for."""
        return Served(self._serving(), self.wanted_release())

    def roll_out(self, version: str) -> int:
        """Ask for a release of ``version``, unless the newest one asked for is of that version and did not fail."""
        with self._files.locked():
            serving, wanted = self._serving(), self.wanted_release()
            if wanted and wanted.version == version and wanted.state is not ReleaseState.FAILED:
                return wanted.release
            number = 1 + max((release.release for release in (serving, wanted) if release), default=0)
            self._files.write(_RELEASE, asdict(Release(number, version, ReleaseState.STARTING)))
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
        self,
        content_hash: str,
        state: TrainingState,
        pid: int | None = None,
        created: float | None = None,
        exit_code: int | None = None,
    ) -> None:
        """
        Say where the newest training stands; does nothing for any other, which is long over.

        A trainer that was stopped on purpose is marked ``requested`` again, and its attempt is not counted twice.
        """
        with self._files.locked():
            newest = self._newest_training()
            if newest and newest.content_hash == content_hash:
                marked = replace(newest, state=state, pid=pid, created=created, exit_code=exit_code)
                self._files.write(_TRAINING, asdict(marked))

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

    def _newest_training(self) -> TrainingRequest | None:
        return self._files.read(_TRAINING, _training)

    def _serving(self) -> Release | None:
        return self._files.read(_SERVED, _release)
