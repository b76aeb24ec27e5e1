"""Puts the next slice, or a person's own file, into landing/."""

import re
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

from apps.batch_dropper.slice_store import Slice, csv_source
from apps.batch_dropper.slices import described, write
from apps.common.batches import Batch, BatchStore
from apps.common.errors import SettingsError
from apps.datasets.declaration import Dataset

PLACES = ("landing", "used", "refused")


def numbers(dataset: str, names: Iterable[str]) -> set[int]:
    """The numbers of the slices among batch names; a refused batch may have another number behind its own."""
    found = (re.fullmatch(rf"{re.escape(dataset)}-(\d{{4}})(\.\d+)?", name) for name in names)
    return {int(match[1]) for match in found if match}


def taken(store: BatchStore) -> set[int]:
    """The numbers that are dropped; one whose dropper was killed half-way is not, and is dropped again."""
    landed = [entry.name for entry in store.entries("landing") if entry.complete]
    return numbers(store.dataset, [*landed, *store.names("used"), *store.names("refused")])


def drop_slice(store: BatchStore, take: Callable[[int], Slice | None]) -> Batch | None:
    """Drop the next slice; None when there is none left."""
    done = taken(store)
    number = next(number for number in range(1, len(done) + 2) if number not in done)
    found = take(number)
    return put(store, f"{store.dataset}-{number:04d}", found) if found else None


def drop_file(store: BatchStore, dataset: Dataset, file: Path, batch: str) -> Batch:
    """Drop a person's own CSV file, written anew as this stack writes CSV, as one batch."""
    names = {name for place in PLACES for name in store.names(place)}
    if batch in names:
        raise SettingsError(f"BATON_BATCH must be a new name; got {batch}; choose another one")
    with tempfile.TemporaryDirectory(prefix="baton-drop-") as folder:
        path = Path(folder) / "file.csv"
        write(path, dataset, csv_source(file, dataset).rows())
        manifest = described(path)
        if manifest is None or not manifest.rows:
            raise SettingsError(f"{file} must have rows; got a header and nothing else; bring rows")
        return put(store, batch or name_for(store.dataset, file, names), Slice(path, manifest))


def name_for(dataset: str, file: Path, names: set[str]) -> str:
    """A new name that says which file it was, behind the slices that are there and before those to come."""
    stem = re.sub(r"[^A-Za-z0-9]+", "-", file.stem.removesuffix(".csv")).strip("-") or "file"
    wanted = f"{dataset}-{max(numbers(dataset, names), default=0):04d}-{stem}"
    return next(name for name in (wanted, *(f"{wanted}-{n}" for n in range(2, len(names) + 3))) if name not in names)


def put(store: BatchStore, batch: str, found: Slice) -> Batch:
    """Upload a slice; return the batch that is in landing/ now."""
    store.put(batch, [found.path], found.manifest)
    return Batch(batch, found.manifest.rows, found.manifest.content_hash)
