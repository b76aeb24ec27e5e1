"""
A source as train slices and a test part: split once, in one pass that holds one row at a time, then only read.

Rows that share a key go to the same place, so that no request asks for what a model was trained on.
"""

import hashlib
import itertools
import math
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

from apps.common.errors import SettingsError
from apps.common.files import whole_file, write_whole
from apps.common.manifest import Manifest, describe_part, schema_hash
from apps.common.settings import option
from apps.datasets.declaration import Dataset, Row
from apps.datasets.source import csv_line, write_csv

SAMPLE = 2_500  # rows that are counted before a source is split
ENOUGH = 300  # rows: two slices that a training accepts, and a test part
SMALLEST = 200  # a slice below this many rows is not worth a training
MANY = 10  # slices are enough, unless they would be larger than asked for
MOST = 200  # files that are written at once
TEST_SHARE = 0.2
PART = "part-0001.csv"


@dataclass(frozen=True)
class Source:
    """Rows that can be read again and again; ``identity`` changes when they do, ``bytes`` is 0 when unknown."""

    identity: str
    rows: Callable[[], Iterable[Row]]
    bytes: int = 0


@dataclass(frozen=True)
class SplitPlan:
    """How a source is split: into ``slices`` slices, with a share of ``test`` of the rows kept for requests."""

    seed: int
    slices: int
    test: float

    def place(self, dataset: Dataset, row: Row) -> int:
        """0 for the test part, else the number of the slice."""
        share = hash_share(self.seed, dataset, row)
        return 0 if share < self.test else 1 + int((share - self.test) / (1 - self.test) * self.slices)


def hash_share(seed: int, dataset: Dataset, row: Row) -> float:
    """A number from 0 to 1 that follows from the row's key, or from the whole row where the key is empty."""
    key = [row.get(name, "") for name in dataset.key]
    cells = key if any(key) else [row.get(name, "") for name in dataset.column_names]
    digest = hashlib.blake2b("\x1f".join([str(seed), *cells]).encode(), digest_size=8).digest()
    return int.from_bytes(digest) / 2**64


def plan(source: Source, dataset: Dataset, seed: int, slices: int, slice_rows: int, test_rows: int) -> SplitPlan:
    """Look at the beginning of a source and decide; ``slices`` 0 takes as many as are worth a training."""
    sizes, shares = [], []
    for row in itertools.islice(source.rows(), SAMPLE):
        sizes.append(sum(map(len, row.values())) + len(row))
        shares.append(hash_share(seed, dataset, row))
    if len(sizes) < SAMPLE:
        rows = len(sizes)
    elif source.bytes:
        rows = int(source.bytes / (sum(sizes) / len(sizes)))
    else:
        rows = sum(1 for _ in source.rows())
    test = min(TEST_SHARE, test_rows / max(rows, 1))
    training = int(rows * (1 - test))
    fitting = min(MOST, max(2, min(MANY, training // SMALLEST), training // slice_rows))
    if shares and len(shares) < SAMPLE:  # the whole source: of two keys one is for requests, whatever their hashes
        test = min(max(test, math.nextafter(min(shares), 1)), max(shares))
    return SplitPlan(seed, slices or fitting, test)


def file_name(number: int) -> str:
    """The file of a slice, or of the test part (0)."""
    return f"slice-{number:04d}.csv" if number else "test.csv"


def split(source: Source, dataset: Dataset, how: SplitPlan, folder: Path) -> None:
    """Write every slice and the test part, each with its manifest, into ``folder``."""
    rows = [0] * (how.slices + 1)
    with ExitStack() as files:
        parts = [files.enter_context(_open(folder / file_name(number))) for number in range(how.slices + 1)]
        for part in parts:
            part.write(csv_line(dataset.column_names))
        for row in source.rows():
            number = how.place(dataset, row)
            parts[number].write(csv_line([row[name] for name in dataset.column_names]))
            rows[number] += 1
    empty = [file_name(number) for number, count in enumerate(rows) if not count]
    if empty:
        one = f"./baton down, then ./baton up as before with {option('slices', 1)}"
        helps = how.slices > 1 and sum(rows) > 1
        fewer = f", or make do with one slice, which is too few for a demo: {one}" if helps else ""
        raise SettingsError(
            f"a source must have rows for {how.slices} slices and a test part; got {sum(rows)} rows and none for "
            f"{', '.join(empty)}; bring about {ENOUGH} rows or more{fewer}"
        )
    for number, count in enumerate(rows):
        describe(folder / file_name(number), dataset, count)


def write(path: Path, dataset: Dataset, rows: Iterable[Row]) -> None:
    """Write one CSV file with its manifest beside it; the manifest is there when the file is whole."""
    with whole_file(path) as unfinished:
        count = write_csv(unfinished, rows, dataset)
    describe(path, dataset, count)


def describe(path: Path, dataset: Dataset, rows: int) -> Manifest:
    """Write down beside a CSV file what its batch will say of it."""
    parts = (replace(describe_part(path), name=PART),)
    manifest = Manifest(dataset.name, rows, schema_hash(dataset.column_names), now(), parts)
    write_whole(path.with_suffix(".json"), manifest.to_json())
    return manifest


def now() -> str:
    """The present moment, as a manifest writes it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def described(path: Path) -> Manifest | None:
    """The manifest beside a CSV file, or None while the file is not whole."""
    try:
        return Manifest.from_json(path.with_suffix(".json").read_text())
    except FileNotFoundError:
        return None


def _open(path: Path) -> TextIO:
    return path.open("w", encoding="utf-8", newline="")
