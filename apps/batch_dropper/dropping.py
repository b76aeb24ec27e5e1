"""Puts the next slice, or a person's own file, into landing/."""

import re
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from apps.batch_dropper.slice_store import Slice, csv_source
from apps.batch_dropper.slices import described, now, write
from apps.common.batches import PLACES, Batch, BatchStore
from apps.common.errors import BatchRefused, SettingsError
from apps.datasets.declaration import Dataset


def slices_among(dataset: str, names: Iterable[str]) -> set[int]:
    """The numbers of the batches that are slices; a refused batch may have another number behind its own."""
    found = (re.fullmatch(rf"{re.escape(dataset)}-(\d{{4,}})(\.\d+)?", name) for name in names)
    return {int(match[1]) for match in found if match}


def number_in(dataset: str, name: str) -> int:
    """The number in the name that the dropper gave a batch; 0 when a person chose the name."""
    match = re.match(rf"{re.escape(dataset)}-(\d{{4,}})(?![^-.])", name)
    return int(match[1]) if match else 0


def dropped(store: BatchStore) -> dict[str, str]:
    """Each batch and its place; not one whose dropper was killed half-way: what it held is dropped again."""
    whole = {entry.name: place for place in ("landing", "refused") for entry in store.entries(place) if entry.complete}
    return whole | dict.fromkeys(store.names("used"), "used")


def next_number(store: BatchStore, batches: Mapping[str, str]) -> int:
    """One more than any of ``batches`` has; a name that a person chose hides it, and so its manifest is asked."""
    return 1 + max(
        (number_in(store.dataset, name) or _told_number(store, place, name) for name, place in batches.items()),
        default=0,
    )


def _told_number(store: BatchStore, place: str, name: str) -> int:
    try:
        return store.manifest(place, name).number
    except (BatchRefused, FileNotFoundError):  # put there by hand, or moved since it was listed
        return 0


def drop_slice(store: BatchStore, take: Callable[[int], Slice | None]) -> Batch | None:
    """Drop the next slice; None when there is none left."""
    batches = dropped(store)
    found = take(len(slices_among(store.dataset, batches)) + 1)
    number = next_number(store, batches)
    return put(store, f"{store.dataset}-{number:04d}", found, number) if found else None


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
        number = next_number(store, dropped(store))
        return put(store, batch or name_for(store.dataset, number, file, names), Slice(path, manifest), number)


def name_for(dataset: str, number: int, file: Path, names: set[str]) -> str:
    """A new name that says which batch it is, and of which file."""
    stem = re.sub(r"[^A-Za-z0-9]+", "-", file.stem.removesuffix(".csv")).strip("-") or "file"
    wanted = f"{dataset}-{number:04d}-{stem}"
    return next(name for name in (wanted, *(f"{wanted}-{n}" for n in range(2, len(names) + 3))) if name not in names)


def put(store: BatchStore, batch: str, found: Slice, number: int) -> Batch:
    """Upload a slice as the batch of that number; return the batch that is in landing/ now."""
    manifest = replace(found.manifest, number=number, created=now())
    store.put(batch, [found.path], manifest)
    return Batch(batch, manifest.rows, manifest.content_hash)
