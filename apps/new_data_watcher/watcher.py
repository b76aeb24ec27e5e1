"""The edge of a tick: look at HDFS and the orchestrator, let ``decide`` decide, act, and say what was done."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from structlog.stdlib import BoundLogger

from apps.common.batches import BatchStore, Entry
from apps.common.errors import BatchRefused, Unavailable
from apps.common.exposition import NOTHING
from apps.common.manifest import MANIFEST, oldest_first
from apps.common.schedule import Schedule, ScheduleMark
from apps.new_data_watcher.figures import figures
from apps.new_data_watcher.scheduled import MoveMark, scheduled
from apps.new_data_watcher.tick import (
    LandedBatch,
    LandingView,
    LeaveBatch,
    RefuseBatch,
    RetryLater,
    StartTraining,
    decide,
)
from apps.orchestrator.port import ABSENT, Orchestrator


@dataclass(frozen=True)
class KeptSchedule:
    """A schedule, and how its mark is read and kept; both raise Unavailable."""

    schedule: Schedule
    read: Callable[[], ScheduleMark | None]
    keep: Callable[[ScheduleMark], None]


class NewDataWatcher:
    """One dataset's watcher; what it keeps between ticks only saves work and repeated lines in the log."""

    def __init__(
        self,
        *,
        store: BatchStore,
        orchestrator: Orchestrator,
        schema_hash: str,
        grace: float,
        registry_answers: Callable[[], object],
        kept: KeptSchedule | None = None,
        log: BoundLogger,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """
        ``registry_answers`` raises Unavailable while a training would fail for want of the model registry.

        ``kept`` is the schedule, if there is one.
        """
        self.store = store
        self.orchestrator = orchestrator
        self.schema_hash = schema_hash
        self.grace = grace
        self.registry_answers = registry_answers
        self.kept = kept
        self.log = log
        self.clock = clock
        self._used: dict[str, str] = {}  # batch -> content hash; a used batch never changes
        self._logged_waits: set[LeaveBatch | RetryLater] = set()
        self.told = NOTHING  # what its last tick saw; read by another thread

    def tick(self) -> None:
        """Look once and act."""
        waits: set[LeaveBatch | RetryLater] = set()
        view = self.view()
        of_batches = decide(view, self.store.differences)
        for action in (*of_batches, *scheduled(view, of_batches)):
            match action:
                case StartTraining():
                    self._start(action)
                case RefuseBatch():
                    self._refuse(action)
                case MoveMark():
                    self._move(action)
                case LeaveBatch() | RetryLater():
                    waits.add(action)
        for wait in waits - self._logged_waits:
            self.log.info("waiting", batch=wait.batch, reason=wait.reason)
        self._logged_waits = waits
        self.told = tuple(figures(view, len(self.store.names("refused")), waits))

    def _start(self, action: StartTraining) -> None:
        self.registry_answers()  # while it is away a training can only fail
        self.orchestrator.start_training(action.batch, action.content_hash)
        status = self.orchestrator.trainings().get(action.content_hash, ABSENT)
        if status.state.under_way:
            self.log.info("training asked for", batch=action.batch, attempt=status.attempts)

    def _refuse(self, action: RefuseBatch) -> None:
        if action.for_crashes:
            self.registry_answers()  # crashes are held against a batch only when the platform is well
        self.store.refuse(action.batch, action.reason)
        self.log.warning("batch refused", batch=action.batch, reason=action.reason)

    def _move(self, action: MoveMark) -> None:
        if self.kept:
            self.kept.keep(action.mark)
        tell = self.log.warning if action.mark.missed else self.log.info
        tell("the schedule was acted on", until=action.mark.until.isoformat(), missed=action.mark.missed)

    def view(self) -> LandingView:
        """Return what HDFS and the orchestrator say now, and of a schedule MLflow."""
        schedule, mark = self._schedule()
        landed = _in_order([batch for entry in self.store.entries("landing") if (batch := self._landed(entry))])
        used = {content_hash: batch for batch, content_hash in self._used_batches().items()}
        return LandingView(
            dataset=self.store.dataset,
            schema_hash=self.schema_hash,
            now=self.clock(),
            hdfs_now=self.store.now() if landed else 0.0,
            grace=self.grace,
            landed=landed,
            used=used,
            trainings=self.orchestrator.trainings(),
            schedule=schedule,
            mark=mark,
        )

    def _schedule(self) -> tuple[Schedule | None, ScheduleMark | None]:
        """The schedule and its mark; none while the registry is away: nothing can be trained then, only refused."""
        if self.kept is None:
            return None, None
        try:
            return self.kept.schedule, self.kept.read()
        except Unavailable:
            return None, None

    def _landed(self, entry: Entry) -> LandedBatch | None:
        if not entry.complete:
            return LandedBatch(entry, None, f"{MANIFEST} must be there, put in last; it is missing")
        try:
            return LandedBatch(entry, self.store.manifest("landing", entry.name))
        except BatchRefused as error:
            return LandedBatch(entry, None, str(error))
        except FileNotFoundError:  # moved since it was listed
            return None

    def _used_batches(self) -> dict[str, str]:
        names = self.store.names("used")
        known = {name: self._used.get(name) or self._used_hash(name) for name in names}
        self._used = {name: content_hash for name, content_hash in known.items() if content_hash}
        return self._used

    def _used_hash(self, name: str) -> str:
        try:
            return self.store.manifest("used", name).content_hash
        except (BatchRefused, FileNotFoundError):  # put there by hand: it is none of ours
            return ""


def _in_order(landed: list[LandedBatch]) -> list[LandedBatch]:
    """The oldest first; those without a manifest have no place yet, and are seen before the others."""
    order = oldest_first({batch.entry.name: batch.manifest for batch in landed if batch.manifest})
    place = {name: number for number, name in enumerate(order)}
    return sorted(landed, key=lambda batch: place.get(batch.entry.name, -1))
