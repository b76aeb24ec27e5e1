"""
The slices and the test part of one source on the local disk: made when they are first asked for, then kept.

Each source, seed and size has a folder of its own, made under another name and renamed: what is there is whole.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from structlog.stdlib import BoundLogger

from apps.batch_dropper.encoding import Request, encode
from apps.batch_dropper.settings import MOST_DRIFT, DropperSettings
from apps.batch_dropper.slices import Source, described, file_name, plan, split, write
from apps.common.errors import SettingsError
from apps.common.files import locked, publish_folder
from apps.common.manifest import Manifest
from apps.common.settings import option
from apps.datasets.declaration import Dataset
from apps.datasets.opening import text_size
from apps.datasets.source import read_csv

ENDLESS = 9999  # slices of generated rows; each has a seed of its own


@dataclass(frozen=True)
class Slice:
    """A CSV file with the manifest that its batch will have, but for number and time."""

    path: Path
    manifest: Manifest


class SliceStore:
    """Where slices come from; number 0 is the test part."""

    def __init__(self, settings: DropperSettings, dataset: Dataset, log: BoundLogger) -> None:
        """Nothing is read or made yet."""
        self.settings = settings
        self.dataset = dataset
        self.log = log

    def take(self, number: int) -> Slice | None:
        """A slice, made now if need be; None when there are not that many."""
        with locked(self.settings.work):  # a second dropper would make the same files
            source = self._source()
            folder = self._split(source) if source else self._generated(number)
        path = folder / file_name(number)
        manifest = described(path)
        return Slice(path, manifest) if manifest else None

    def requests(self) -> list[Request]:
        """The test part as requests; raises SettingsError when the source has none."""
        test = self.take(0)
        if test is None:
            raise SettingsError("a test part must be there; got none; bring more rows")
        return [encode(self.dataset, row) for row in read_csv(test.path, self.dataset)]

    def advice(self) -> str:
        """What to do when no slice is left; a source that is split anew would give rows that were trained on before."""
        more = self.settings.slices + 1
        anew = (
            "" if self._source() else f", or run ./baton down, then ./baton up as before with {option('slices', more)}"
        )
        return f"bring rows of your own with ./baton drop FILE.csv{anew}"

    def _source(self) -> Source | None:
        """The rows that are there to be split; None when they are generated."""
        if path := self.settings.source:
            return csv_source(path, self.dataset)
        if self.dataset.load:
            return Source(self.dataset.name, self.dataset.load)
        if not self.dataset.generate:
            rule = f"BATON_SOURCE must be a CSV file for {self.dataset.name}, which has no rows of its own"
            raise SettingsError(f"{rule}; got none; give --source FILE.csv")
        return None

    def _folder(self, *identity: object) -> Path:
        key = "\x1f".join(map(str, (self.dataset.name, *self.dataset.column_names, self.settings.seed, *identity)))
        return self.settings.work / f"{self.dataset.name}-{hashlib.sha256(key.encode()).hexdigest()[:12]}"

    def _split(self, source: Source) -> Path:
        settings = self.settings
        folder = self._folder(source.identity, settings.slices, settings.slice_rows, settings.test_rows)
        if not folder.exists():
            how = plan(source, self.dataset, settings.seed, settings.slices, settings.slice_rows, settings.test_rows)
            self.log.info("splitting the source", source=source.identity, slices=how.slices, test=round(how.test, 4))
            with publish_folder(folder) as unfinished:
                split(source, self.dataset, how, unfinished)
        return folder

    def _generated(self, number: int) -> Path:
        settings, generate = self.settings, self.dataset.generate
        folder = self._folder("generated", settings.slice_rows, settings.test_rows, settings.drift)
        path = folder / file_name(number)
        if generate and number <= (settings.slices or ENDLESS) and described(path) is None:
            folder.mkdir(parents=True, exist_ok=True)
            rows = settings.slice_rows if number else settings.test_rows
            drift = max(-MOST_DRIFT, min(MOST_DRIFT, settings.drift * max(0, number - 1)))
            write(path, self.dataset, generate(rows, settings.seed * (ENDLESS + 1) + number, drift))
        return folder


def csv_source(path: Path, dataset: Dataset) -> Source:
    """The rows of a person's own CSV file, plain, in gzip or in a zip."""
    if not path.is_file():
        raise SettingsError(f"a source must be a CSV file; got {path}; check the path")
    status = path.stat()
    identity = f"{path.resolve()} ({status.st_size} bytes, changed {status.st_mtime_ns})"
    if not dataset.dialect.plain_numbers:  # then what a cell becomes depends on the declaration too
        numbers = ", ".join(column.name for column in dataset.columns if column.kind == "number")
        identity = f"{identity}, {dataset.dialect}, numbers {numbers}"
    return Source(identity, lambda: read_csv(path, dataset, dataset.dialect), text_size(path))
