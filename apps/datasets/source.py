"""Rows to and from CSV files in the dialect of the real file: commas, doubled quotes, line breaks inside quotes."""

import csv
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from apps.common.errors import SettingsError
from apps.datasets.declaration import Dataset, Row

csv.field_size_limit(min(sys.maxsize, 2**31 - 1))


def read_csv(path: Path, dataset: Dataset) -> Iterator[Row]:
    """
    Yield the rows of a file whose columns are the dataset's, in any order.

    Raises SettingsError that lists every missing and unknown column, or names the first row with another number of
    cells. A byte order mark is passed over.
    """
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file, strict=True)
        header = next(reader, [])
        _check_header(path, header, dataset)
        for number, cells in enumerate(reader, 1):
            if len(cells) != len(header):
                message = f"{path.name}: row {number} must have {len(header)} cells; got {len(cells)}; mend the file"
                raise SettingsError(message)
            yield dict(zip(header, cells, strict=True))


def _check_header(path: Path, header: list[str], dataset: Dataset) -> None:
    problems = [f"{name} is missing" for name in dataset.column_names if name not in header]
    problems += [f"{name!r} is unknown" for name in header if name not in dataset.column_names]
    problems += [f"{name} is there twice" for name in sorted({name for name in header if header.count(name) > 1})]
    if problems:
        rule = f"the {len(dataset.column_names)} columns of {dataset.name}"
        raise SettingsError(f"{path.name}: the header must hold {rule}; {'; '.join(problems)}; mend the header")


def write_csv(path: Path, rows: Iterable[Row], dataset: Dataset) -> int:
    """Write rows with the dataset's columns in its order; return how many."""
    count = 0
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(dataset.column_names)
        for row in rows:
            writer.writerow([row[name] for name in dataset.column_names])
            count += 1
    return count
