"""From a found batch to the rows to train on: verified, read, the bad rows put aside, the rest kept."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from pyspark.sql import DataFrame

from apps.common.batches import BatchStore, Manifest, schema_hash
from apps.common.errors import BatchRefused, BatonError, SettingsError
from apps.common.manifest import MANIFEST, oldest_first
from apps.common.sql_statements import statement_problems
from apps.trainer import checked_batches, train_set
from apps.trainer.cleaning import request_sql
from apps.trainer.found_batch import FoundBatch, TrainingContext, refuse_if

NONE = train_set.Counts(0, 0)


@dataclass(frozen=True)
class CheckedRows:
    """
    Every row of the new batch and of those used before, with its batch, and its rejection if it has one.

    ``order`` names the batches, the oldest first; ``counts`` is by batch, ``own`` the new batch's: NONE without one.
    """

    rows: DataFrame
    order: list[str]
    counts: dict[str, train_set.Counts]
    own: train_set.Counts


@dataclass(frozen=True)
class TrainSet:
    """The rows to train on, once for each key, with their fold; beside them what was counted to get them."""

    rows: DataFrame
    checked: CheckedRows


def verify(context: TrainingContext, found: FoundBatch) -> dict[str, Manifest]:
    """
    Hold the batch against its manifest and its parts' headers against the declaration.

    Return the manifests of the batches used before, which are read together with it, or alone where there is no batch.
    """
    store, columns = context.store, context.dataset.column_names
    others = [entry for entry in store.entries("used") if not found.manifest or entry.name != found.batch.name]
    if lost := [entry.name for entry in others if not entry.complete]:
        message = f"{store.folder('used')}: each batch must have its {MANIFEST}; {', '.join(lost)} got none"
        raise BatonError(f"{message}; put it back, or take the folder away to train without it")
    used = {entry.name: _used_manifest(store, entry.name) for entry in others}
    if found.manifest is None:
        if not used:
            raise BatonError(f"{store.folder('used')} must have a batch to train on; got none; drop one")
        return used
    problems = store.problems(found.batch.name) if found.place == "landing" else []
    if (expected := schema_hash(columns)) != found.manifest.schema_hash:
        problems.append(f"the manifest's schema_hash must be {expected}; got {found.manifest.schema_hash}")
    for part in found.manifest.parts:
        path = f"{store.folder(found.place, found.batch.name)}/{part.name}"
        if store.exists(path):
            beginning = next(store.files.chunks(path), b"")
            problems += train_set.header_problems(part.name, beginning, columns)
    refuse_if(problems)
    return used


def _used_manifest(store: BatchStore, name: str) -> Manifest:
    """The manifest of a batch used before; raises BatonError when it cannot be read again: no fault of the new one."""
    folder = store.folder("used", name)
    try:
        manifest = store.manifest("used", name)
    except BatchRefused as refusal:
        raise BatonError(f"{folder}: {refusal}; mend it or take it away") from refusal
    there = {file.name: file.bytes for file in store.files.listing(folder)}
    if lost := [part.name for part in manifest.parts if there.get(part.name) != part.bytes]:
        message = f"{folder} must hold what its manifest says; got {', '.join(lost)} missing or changed"
        raise BatonError(f"{message}; put it back, or take the folder away")
    return manifest


def read(context: TrainingContext, found: FoundBatch, used: dict[str, Manifest]) -> CheckedRows:
    """Parse the new batch, and of the used ones what no training has parsed yet; all rows, and what they are worth."""
    _require_computing(context)
    store, name = context.store, found.batch.name
    manifests = {**used, name: found.manifest} if found.manifest else used
    order = oldest_first(manifests)
    contents = {manifests[one].content_hash: one for one in order}  # the same content twice is read as the newer one
    csv = {one: store.folder("used" if one in used else found.place, one) for one in order}
    with ThreadPoolExecutor(context.settings.parallel_fits) as pool:
        kept = pool.map(lambda one: checked_batches.ensure(context, csv[one], manifests[one]), contents.values())
        by_content = dict(zip(contents, kept, strict=True))
    counts = {one: by_content[manifests[one].content_hash] for one in order}
    own = counts[name] if found.manifest else NONE
    context.log.info("counted", batches=len(order), rows=own.rows, quarantined=own.quarantined)
    if found.manifest:
        refuse_if(train_set.row_problems(own, found.manifest.rows))
    return CheckedRows(checked_batches.read(context, contents), order, counts, own)


def _require_computing(context: TrainingContext) -> None:
    """Raise SettingsError when the dataset's expressions make a pipeline that no server would load."""
    if problems := statement_problems(context.session.result(), request_sql(context.dataset)):
        message = f"{context.dataset.name}: the expressions in numeric {'; '.join(problems)}; see docs/add-a-dataset.md"
        raise SettingsError(message)


def quarantine(context: TrainingContext, checked: CheckedRows) -> None:
    """Write the rows of the new batch that its rules reject, each with its reason; too many refuse the batch."""
    batch = context.settings.batch
    if checked.own.quarantined:
        target = context.store.url(context.store.folder("quarantine", batch))
        train_set.rejected(checked.rows, batch).write.mode("overwrite").json(target)
    refuse_if(train_set.quarantine_problems(checked.own, context.dataset.quarantine_limit))


def keep(context: TrainingContext, found: FoundBatch, checked: CheckedRows) -> TrainSet:
    """Write the rows to train on, with their fold, where their version will find them."""
    good, most = sum(one.rows - one.quarantined for one in checked.counts.values()), context.settings.max_train_rows
    taken = train_set.bounded(context.dataset, checked.rows, most) if good > most else checked.rows
    rows = train_set.keep(context.dataset, taken, context.settings.folds, checked.order).persist()
    refuse_if(train_set.shortages(context.dataset, rows, context.settings.folds))
    rows.write.mode("overwrite").parquet(context.store.url(found.unnamed_train_set(context.store)))
    return TrainSet(rows, checked)
