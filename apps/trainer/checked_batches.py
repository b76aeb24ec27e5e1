"""
The checked rows of each batch, kept in HDFS as Parquet: the CSV of a batch is parsed once in its life.

A folder is named by the batch's content and by all that decides what is made of it, so what is there is never out of
date. Its counts are written last, in one step: a folder without them, or without a file that they name, is not there.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydantic import TypeAdapter, ValidationError
from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812 - the name everyone knows it by

from apps.common.batches import BatchStore, Manifest, schema_hash
from apps.datasets.declaration import Dataset
from apps.trainer import train_set
from apps.trainer.found_batch import TrainingContext
from apps.trainer.train_set import BATCH, Counts

PLACE = "checked"
COUNTS = "_counts.json"  # Spark passes over a name that begins so


@dataclass(frozen=True)
class _Kept:
    """What a whole folder says of itself: the counts of the batch, and the bytes of each Parquet file by name."""

    counts: Counts
    files: Mapping[str, int]


_ADAPTER = TypeAdapter(_Kept)


def folder(store: BatchStore, dataset: Dataset, content_hash: str) -> str:
    """The HDFS folder of the checked rows of a batch's content."""
    return store.folder(PLACE, f"{content_hash}-{train_set.checked_sha256(dataset)[:16]}")


def ensure(context: TrainingContext, csv: str, manifest: Manifest) -> Counts:
    """
    The counts of the batch whose parts lie in the HDFS folder ``csv``; from then on its checked rows are kept.

    The CSV is parsed only where they were not kept yet, not whole, or under another declaration.
    """
    store, dataset = context.store, context.dataset
    target = folder(store, dataset, manifest.content_hash)
    if kept := _whole(store, target):
        return kept.counts
    paths = [store.url(f"{csv}/{part.name}") for part in manifest.parts]
    spark = context.session.result()
    checked = train_set.check(dataset, train_set.read(spark, paths, dataset, _columns(context, csv, manifest)))
    checked.write.mode("overwrite").parquet(store.url(target))  # which first removes whatever is there, as a whole
    counts = train_set.count(spark.read.schema(checked.schema).parquet(store.url(target)))
    store.write(f"{target}/{COUNTS}", _ADAPTER.dump_json(_Kept(counts, _files(store, target))))
    context.log.info("parsed the CSV", csv=csv, rows=counts.rows)
    return counts


def _columns(context: TrainingContext, csv: str, manifest: Manifest) -> Sequence[str]:
    """The columns of a batch's parts: those that are declared now, or others, if it was used under other ones."""
    declared = context.dataset.column_names
    if manifest.schema_hash == schema_hash(declared):
        return declared
    beginning = next(context.store.files.chunks(f"{csv}/{manifest.parts[0].name}"), b"")
    columns = train_set.header(beginning)
    missing = [name for name in declared if name not in columns]
    context.log.warning("a batch was used under other columns; they are taken by name", csv=csv, missing=missing)
    return columns


def _whole(store: BatchStore, target: str) -> _Kept | None:
    """What a folder says of itself, when all of it is there."""
    try:
        kept = _ADAPTER.validate_json(store.read(f"{target}/{COUNTS}"))
    except (FileNotFoundError, ValidationError):
        return None
    return kept if kept.files == _files(store, target) else None


def _files(store: BatchStore, target: str) -> dict[str, int]:
    return {file.name: file.bytes for file in store.files.listing(target) if not file.name.startswith(("_", "."))}


def read(context: TrainingContext, contents: Mapping[str, str]) -> DataFrame:
    """The checked rows of batches, which are kept, with the batch of each; ``contents`` is content hash -> name."""
    store, dataset = context.store, context.dataset
    folders = {folder(store, dataset, content_hash): name for content_hash, name in contents.items()}
    rows = context.session.result().read.schema(train_set.checked_schema(dataset))
    names = F.map_from_arrays(F.lit([path.rsplit("/", 1)[-1] for path in folders]), F.lit(list(folders.values())))
    within = F.element_at(F.split("_metadata.file_path", "/"), -2)
    return rows.parquet(*map(store.url, folders)).withColumn(BATCH, F.element_at(names, within))
