"""
One training as named steps.

Each can be killed anywhere and done again: what is already done is found by the batch's content hash.
"""

import posixpath
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from pyspark.sql import DataFrame, SparkSession
from structlog.stdlib import BoundLogger

from apps.common.batches import BatchStore, Manifest, schema_hash
from apps.common.errors import BatchRefused, BatonError, SettingsError
from apps.common.registry import Version
from apps.datasets.declaration import Dataset
from apps.trainer import artifacts, train_set
from apps.trainer.cleaning import input_columns
from apps.trainer.ensemble import Ensemble, train
from apps.trainer.golden import golden
from apps.trainer.mlflow_run import MlflowRun, Subject, ensemble_metrics, kill
from apps.trainer.settings import TrainerSettings

if TYPE_CHECKING:
    from concurrent.futures import Future

Step = tuple[str, Callable[[], None]]


class Training:
    """The steps, and what they hand to each other (each attribute is set by the step named beside it)."""

    place: str = ""  # find
    manifest: Manifest  # find
    record: MlflowRun  # find
    version: Version | None = None  # find, or register
    batches: dict[str, Manifest]  # verify
    checked: DataFrame  # read
    counts: dict[str, train_set.Counts]  # read
    prepared: bool = False  # keep
    rows: DataFrame  # keep
    run_id: str = ""  # begin, or find
    ensemble: Ensemble  # train

    def __init__(
        self,
        settings: TrainerSettings,
        dataset: Dataset,
        store: BatchStore,
        session: "Future[SparkSession]",
        log: BoundLogger,
    ) -> None:
        """Nothing is read yet; ``session`` is on its way, since a JVM takes seconds to start."""
        self.settings = settings
        self.dataset = dataset
        self.store = store
        self.session = session
        self.log = log
        self.scratch = settings.scratch / "artifacts"

    def steps(self) -> tuple[Step, ...]:
        """What is left to do, in order, once the batch is found."""
        if self.version is None:
            return (*self._training_steps(), *self._closing_steps())
        return () if self.record.is_finished(self.version.run_id) else self._closing_steps()

    def _training_steps(self) -> tuple[Step, ...]:
        return (
            ("verify the batch", self.verify),
            ("read every row", self.read),
            ("quarantine bad rows", self.quarantine),
            ("keep the train set", self.keep),
            ("begin the run", self.begin),
            ("train the ensemble", self.train),
            ("log the model", self.log_model),
            ("register the version", self.register),
        )

    def _closing_steps(self) -> tuple[Step, ...]:
        return (
            ("name the train set", self.name_train_set),
            ("move the batch to used", self.use),
            ("promote the version", self.promote),
            ("finish the run", self.finish),
        )

    def find(self) -> None:
        """Look where the batch is and what an earlier trainer made of it."""
        self.place = self._place()
        self.manifest = self.store.manifest(self.place, self.settings.batch)
        subject = Subject(self.dataset.name, self.settings.batch, self.manifest.content_hash)
        self.record = MlflowRun(self.settings.mlflow, subject)
        self.version = self.record.version()
        left = self.record.close_leftovers(self.version.run_id if self.version else None)
        self.log.info("found the batch", place=self.place, version=self.version and self.version.version, left=left)
        self.run_id = self.version.run_id if self.version else ""
        _refuse_if(self._repeats())

    def _repeats(self) -> list[str]:
        """Why a landed batch is not a new one."""
        name, problems = self.settings.batch, []
        if self.place == "landing" and self.store.exists(self.store.folder("used", name)):
            problems.append(f"a batch must have a new name; got {name}, which is used; drop it under another")
        if self.version and (twin := self.version.tags.get("batch")) != name:
            has = f"version {self.version.version} is trained on it"
            problems.append(f"a batch must bring new content; got that of {twin}; {has}")
        return problems

    def _place(self) -> str:
        for place in ("landing", "used"):
            if self.store.exists(f"{self.store.folder(place, self.settings.batch)}/_manifest.json"):
                return place
        if self.store.exists(self.store.folder("refused", self.settings.batch)):
            message = f"{self.settings.batch} must be in landing or used; got refused; its reason is there"
            raise BatchRefused(message)
        message = (
            f"BATON_BATCH must name a complete batch in {self.store.folder('landing')}; got {self.settings.batch!r}; "
            "drop it again, or look in refused"
        )
        raise SettingsError(message)

    def verify(self) -> None:
        """Hold the batch against its manifest and its parts' headers against the declaration."""
        names = [entry.name for entry in self.store.entries("used") if entry.complete]
        self.batches = {name: self._used(name) for name in names if name != self.settings.batch}
        problems = self.store.problems(self.settings.batch) if self.place == "landing" else []
        if (wanted := schema_hash(self.dataset.column_names)) != self.manifest.schema_hash:
            problems.append(f"the manifest's schema_hash must be {wanted}; got {self.manifest.schema_hash}")
        for part in self.manifest.parts:
            path = posixpath.join(self.store.folder(self.place, self.settings.batch), part.name)
            if self.store.exists(path):
                beginning = next(self.store.files.chunks(path), b"")
                problems += train_set.header_problems(part.name, beginning, self.dataset.column_names)
        _refuse_if(problems)

    def _used(self, name: str) -> Manifest:
        try:
            return self.store.manifest("used", name)
        except BatchRefused as refusal:  # no fault of the new batch
            raise BatonError(f"{self.store.folder('used', name)}: {refusal}; mend it or take it away") from refusal

    def read(self) -> None:
        """Read the used batches and the new one, once, and count what their rows are worth."""
        folders = {name: self.store.folder("used", name) for name in self.batches}
        folders[self.settings.batch] = self.store.folder(self.place, self.settings.batch)
        manifests = {**self.batches, self.settings.batch: self.manifest}
        paths = [self.store.url(f"{folders[name]}/{part.name}") for name in folders for part in manifests[name].parts]
        raw = train_set.read(self.session.result(), paths, self.dataset)
        self.checked = train_set.check(self.dataset, raw).persist()
        self.counts = train_set.count(self.checked)
        mine = self.counts.get(self.settings.batch, train_set.Counts(0, 0))
        self.log.info("counted", batches=len(folders), rows=mine.rows, quarantined=mine.quarantined)
        _refuse_if(train_set.row_problems(mine, self.manifest.rows))

    def quarantine(self) -> None:
        """Write the rows of the new batch that its rules reject, each with its reason; too many refuse the batch."""
        mine = self.counts[self.settings.batch]
        if mine.quarantined:
            target = self.store.url(self.store.folder("quarantine", self.settings.batch))
            train_set.rejected(self.checked, self.settings.batch).write.mode("overwrite").json(target)
        _refuse_if(train_set.quarantine_problems(mine, self.dataset.quarantine_limit))

    def keep(self) -> None:
        """Write the rows to train on, with their fold, where their version will find them."""
        self.rows = train_set.keep(self.dataset, self.checked, self.settings.folds).persist()
        _refuse_if(train_set.shortages(self.dataset, self.rows, self.settings.folds))
        self.prepared = True
        self.rows.write.mode("overwrite").parquet(self.store.url(self._unnamed_train_set()))
        self.checked.unpersist()

    def _unnamed_train_set(self) -> str:
        return self.store.folder("train-sets", f".training-{self.manifest.content_hash}")

    def begin(self) -> None:
        """Open the run."""
        self.run_id = self.record.begin()

    def train(self) -> None:
        """Fit, cross-validate, stack and test."""
        self.ensemble = train(self.dataset, self.rows, self.settings)
        self.log.info("trained", **{name: round(value, 4) for name, value in self.ensemble.test.items()})

    def log_model(self) -> None:
        """Write numbers and artifacts to MLflow."""
        shutil.rmtree(self.scratch, ignore_errors=True)
        self.scratch.mkdir(parents=True)
        with ThreadPoolExecutor(2) as pool:  # each waits for Spark most of the time
            own = self.settings.shared("saving") if self.settings.executors else str(self.scratch.parent / "saving")
            saved = pool.submit(artifacts.save_model, self.scratch, self.ensemble.pipeline, own)
            spark = self.session.result()
            asked = pool.submit(golden, spark, self.dataset, self.rows, self.ensemble.pipeline)
            for result in self.ensemble.learners:
                self.record.log_learner(self.run_id, result)
            counts = self._counted()
            parameters = {"folds": self.settings.folds, "batches": len(self.counts), "task": self.dataset.task}
            self.record.log(self.run_id, ensemble_metrics(self.ensemble) | counts, parameters)
            saved.result()
            artifacts.write(self.scratch, self._contract(int(counts["rows"])), asked.result())
        self.record.upload(self.run_id, self.scratch)

    def _counted(self) -> dict[str, float]:
        read = sum(count.rows for count in self.counts.values())
        bad = sum(count.quarantined for count in self.counts.values())
        kept = self.rows.count()
        mine = self.counts[self.settings.batch]
        return {
            "rows": kept,
            "rows_read": read,
            "rows_quarantined": bad,
            "rows_repeated": read - bad - kept,
            "batch_rows": mine.rows,
            "batch_quarantined": mine.quarantined,
        }

    def _contract(self, rows: int) -> dict[str, object]:
        return {
            "dataset": self.dataset.name,
            "task": self.dataset.task,
            "input_columns": list(input_columns(self.dataset)),
            "rows": rows,
            "batches": sorted(self.counts),
        }

    def register(self) -> None:
        """Make the version: from here on a trainer that starts again only closes."""
        self.version = self.record.register(self.run_id)

    def name_train_set(self) -> None:
        """Give the train set its version's number."""
        target = self.store.folder("train-sets", self._registered().version)
        if self.store.exists(self._unnamed_train_set()) and not self.store.exists(target):
            self.store.files.rename(self._unnamed_train_set(), target)

    def use(self) -> None:
        """Move the batch out of landing."""
        self.store.use(self.settings.batch)

    def promote(self) -> None:
        """Let the version serve; a gate comes here when there is one."""
        self.record.wait_until_ready(self._registered())
        self.record.promote(self._registered())

    def finish(self) -> None:
        """Close the run: after this nothing of this training is ever done again."""
        self.record.finish(self.run_id)

    def refuse(self, reason: str) -> None:
        """Move the batch out of landing with the reason, and drop what was prepared for it."""
        if self.place == "landing":
            self.store.refuse(self.settings.batch, reason)
        if self.prepared:
            self.store.files.delete(self._unnamed_train_set())

    def kill(self) -> None:
        """Mark the run as killed."""
        kill(self.settings.mlflow, self.run_id)

    def _registered(self) -> Version:
        if self.version is None:
            message = "a version must be registered before its training is closed; got none; report this"
            raise RuntimeError(message)
        return self.version


def _refuse_if(problems: list[str]) -> None:
    if problems:
        raise BatchRefused("; ".join(problems))
