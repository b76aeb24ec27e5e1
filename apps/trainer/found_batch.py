"""
The batch to train on: where it lies, what an earlier trainer made of it, and its way out when it is refused.

Everything is found by name and content hash, so that a trainer that was killed anywhere can be started again. A
scheduled training has both too, and no batch: it trains on what is used already.
"""

from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime

from pyspark.sql import SparkSession
from structlog.stdlib import BoundLogger

from apps.common import registry
from apps.common.batches import MANIFEST, Batch, BatchStore, Manifest, repeat_problems
from apps.common.errors import BatchRefused, SettingsError
from apps.common.registry import Version
from apps.common.schedule import INSTANT, MISSED, REASON, SCHEDULED, instant_of
from apps.datasets.declaration import Dataset
from apps.trainer.mlflow_run import MlflowRun
from apps.trainer.settings import TrainerSettings

UNNAMED = ".training-"  # what a train set is called, before its content's hash, until its version has a number


@dataclass(frozen=True)
class TrainingContext:
    """What every step may use; the Spark session is on its way, since a JVM takes seconds to start."""

    settings: TrainerSettings
    dataset: Dataset
    store: BatchStore
    session: Future[SparkSession]
    log: BoundLogger


@dataclass(frozen=True)
class FoundBatch:
    """
    The batch, where it lies (``landing`` or ``used``), its side of MLflow, and the version that it has already.

    A scheduled training brings no batch: it lies nowhere, has no rows and no manifest.
    """

    batch: Batch
    place: str
    manifest: Manifest | None
    run: MlflowRun
    version: Version | None

    def unnamed_train_set(self, store: BatchStore) -> str:
        """The HDFS folder of the train set while its version has no number yet."""
        return store.folder("train-sets", f"{UNNAMED}{self.batch.content_hash}")


def find(context: TrainingContext) -> FoundBatch:
    """Look where the batch is and what an earlier trainer made of it; close the runs that killed trainers left."""
    name = context.settings.batch
    if instant := instant_of(name, context.settings.content_hash):
        place, manifest = "", None
        batch, reason = Batch(name, 0, context.settings.content_hash), _reason(context, instant)
    else:
        place = _place(context)
        manifest = context.store.manifest(place, name)
        batch, reason = Batch(name, manifest.rows, manifest.content_hash), {}
    run = MlflowRun(context.settings.mlflow, context.settings.names, batch, reason)
    version = _version(context, run, is_scheduled=instant is not None)
    left = run.close_leftovers(version.run_id if version else None)
    context.log.info("found the batch", place=place, version=version and version.version, left=left)
    trained_on = version.tags.get("batch") if version else None
    is_used = place == "landing" and context.store.exists(context.store.folder("used", name))
    refuse_if(repeat_problems(name, is_used=is_used, twin=None if trained_on == name else trained_on))
    return FoundBatch(batch, place, manifest, run, version)


def _reason(context: TrainingContext, instant: datetime) -> dict[str, str]:
    """Why a scheduled training is done, as tags of its run and its version."""
    mark = registry.schedule_mark(context.settings.mlflow, context.settings.names.model)
    missed = mark.missed_before(instant) if mark else 0
    return {REASON: SCHEDULED, INSTANT: instant.isoformat(), MISSED: str(missed)}


def _version(context: TrainingContext, run: MlflowRun, *, is_scheduled: bool) -> Version | None:
    """
    The newest version of this content that counts, whichever trainer made it.

    Its batch is still used, or it is this one and its training was cut off. One whose batch was taken out of used/
    counts no more: no train set has its rows. Of an instant every one counts.
    """

    def counts(version: Version) -> bool:
        if is_scheduled:
            return True
        batch = version.tags.get("batch", "")
        cut_off = batch == run.batch.name and not run.is_finished(version.run_id)
        return cut_off or context.store.exists(context.store.folder("used", batch))

    return max(filter(counts, run.versions()), key=lambda version: int(version.version), default=None)


def _place(context: TrainingContext) -> str:
    store, batch = context.store, context.settings.batch
    for place in ("landing", "used"):
        if _lies_in(context, place):
            return place
    if store.exists(store.folder("refused", batch)):
        raise BatchRefused(f"{batch} must be in landing or used; got refused; its reason is there")
    wanted = context.settings.content_hash
    what = f"a complete batch with the content {wanted}" if wanted else "a complete batch"
    raise SettingsError(
        f"BATON_BATCH must name {what} in {store.folder('landing')}; got {batch!r}; drop it again, or look in refused"
    )


def _lies_in(context: TrainingContext, place: str) -> bool:
    """Whether the batch lies there, with the content that was asked for: another of its name may have come since."""
    store, batch, wanted = context.store, context.settings.batch, context.settings.content_hash
    if not store.exists(f"{store.folder(place, batch)}/{MANIFEST}"):
        return False
    if not wanted:
        return True
    try:
        return store.manifest(place, batch).content_hash == wanted
    except (BatchRefused, FileNotFoundError):
        return False


def refuse(context: TrainingContext, reason: str) -> None:
    """Move the batch out of landing with the reason; one that is elsewhere stays there."""
    if _lies_in(context, "landing"):
        context.store.refuse(context.settings.batch, reason)


def refuse_if(problems: list[str]) -> None:
    """Raise BatchRefused with all ``problems``, if there are any."""
    if problems:
        raise BatchRefused("; ".join(problems))
