"""
What servers and trainers that are gone have left in HDFS: whoever trains next removes it.

Nothing of it is needed a day later: a pod's folder in ``scratch/`` serves its start, a train set without a number
belongs to a training that was given up, and bad rows in ``quarantine/`` explain a batch as long as that is there.
Checked rows are needed of the batches of this training, as its declaration makes them. A version's train set is what
the gate holds the next one against while it is champion, or is so again after a roll-back; of the others the newest are
kept, for people.
"""

import re
from collections.abc import Collection, Iterator, Mapping

from apps.common import registry
from apps.common.batches import PLACES, BatchStore, Manifest
from apps.common.errors import Unavailable
from apps.common.names import SCRATCH
from apps.trainer import checked_batches
from apps.trainer.found_batch import UNNAMED, FoundBatch, TrainingContext

OLD_S = 24 * 60 * 60
TRAIN_SETS_KEPT = 20


def remove(context: TrainingContext, found: FoundBatch, used: Mapping[str, Manifest]) -> None:
    """Remove what is older than a day and nobody's; a training does not fail for what cannot be removed."""
    store = context.store
    contents = [one.content_hash for one in (found.manifest, *used.values()) if one]
    needed = {checked_batches.folder(store, context.dataset, content_hash) for content_hash in contents}
    try:
        before = store.now() - OLD_S
        spared = {found.unnamed_train_set(store), *needed}
        for path in (*old_paths(store, before, spared), *old_train_sets(context, found)):
            store.files.delete(path)
            context.log.info("removed what was left over", path=path)
    except Unavailable as error:
        context.log.warning("what is left over could not be removed", reason=str(error))


def old_paths(store: BatchStore, before: float, spared: Collection[str]) -> Iterator[str]:
    """What was last changed ``before`` that moment, in seconds since 1970, but for ``spared``."""
    batches = {_without_number(name) for place in PLACES for name in store.names(place)}
    for folder, is_litter in (
        (f"{store.root}/{SCRATCH}", lambda _: True),
        (store.folder("train-sets"), lambda name: name.startswith(UNNAMED)),
        (store.folder(checked_batches.PLACE), lambda _: True),
        (store.folder("quarantine"), lambda name: _without_number(name) not in batches),
    ):
        for entry in store.files.listing(folder):
            path = f"{folder}/{entry.name}"
            if entry.changed < before and is_litter(entry.name) and path not in spared:
                yield path


def old_train_sets(context: TrainingContext, found: FoundBatch) -> list[str]:
    """
    Those of versions past: all but the TRAIN_SETS_KEPT newest, the champion's and as many of champions before it.

    The newest by time: the versions of a model that was begun anew have low numbers. Raises Unavailable.
    """
    folder, mlflow = context.store.folder("train-sets"), context.settings.mlflow
    by_age = sorted(context.store.files.listing(folder), key=lambda entry: entry.changed)
    old = [entry.name for entry in by_age if entry.name.isdecimal()][:-TRAIN_SETS_KEPT]
    champion = registry.champion(mlflow, found.run.names.model) if old else None
    line = [*registry.predecessors(mlflow, champion)[-TRAIN_SETS_KEPT:], champion] if champion else []
    spared = {version.version for version in line}
    return [f"{folder}/{number}" for number in old if number not in spared]


def _without_number(batch: str) -> str:
    """A batch's name as it was dropped; in refused/ it may have a number behind it."""
    return re.sub(r"\.[0-9]+$", "", batch)
