"""
The trainer's side of MLflow: the runs of one training, its version, and the alias.

Everything is found again by the tag ``content_hash``, so that a trainer that was killed can be started again.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from mlflow import MlflowClient
from mlflow.entities import LifecycleStage, Metric, Param, Run
from mlflow.exceptions import MlflowException
from mlflow.utils.mlflow_tags import MLFLOW_RUN_NOTE

from apps.common import registry
from apps.common.batches import Batch
from apps.common.drift import Drift
from apps.common.model_files import MODEL
from apps.common.names import StackNames
from apps.common.registry import CHAMPION, CHAMPION_BEFORE, GATE, MANIFEST_SHA256, PROMOTED, PROMOTION, Version
from apps.common.waiting import wait_until
from apps.trainer.ensemble import LearnerResult

CARD, DRIFT, PICTURE, TIME_LINE = "card.md", "drift.json", "test-rows.png", "time-line.png"
_MOST_NOTE = 5000  # characters that MLflow shows beside a run; the whole card is a file
_READY_S = 60


class MlflowRun:
    """
    The training on one batch: its run with a child run for each learner, its version, the alias.

    The experiment and the registered model are named after the stack and its dataset.
    """

    def __init__(self, mlflow: str, names: StackNames, batch: Batch, reason: Mapping[str, str] | None = None) -> None:
        """``mlflow`` is the server's address; ``reason`` are more tags, of a training that no batch has begun."""
        self.mlflow = mlflow
        self.names = names
        self.batch = batch
        self.reason = reason or {}
        self.client = MlflowClient(tracking_uri=mlflow, registry_uri=mlflow)
        self.experiment = self._experiment()

    def _experiment(self) -> str:
        """The experiment's id; one that somebody deleted is restored, because no other can have its name."""
        experiment = self.client.get_experiment_by_name(self.names.model)
        if experiment:
            if experiment.lifecycle_stage == LifecycleStage.DELETED:
                self.client.restore_experiment(experiment.experiment_id)
            return str(experiment.experiment_id)
        try:
            return str(self.client.create_experiment(self.names.model))
        except MlflowException:  # another trainer was faster
            return str(self.client.get_experiment_by_name(self.names.model).experiment_id)

    @property
    def _tags(self) -> dict[str, str]:
        """The tags of the runs and of the version."""
        told = {"dataset": self.names.dataset, "batch": self.batch.name, "content_hash": self.batch.content_hash}
        return {**told, **self.reason}

    def versions(self) -> list[Version]:
        """Those that this content already has, whichever trainer made them."""
        versions = registry.versions(self.mlflow, self.names.model)
        return [version for version in versions if version.tags.get("content_hash") == self.batch.content_hash]

    def close_leftovers(self, keep: str | None) -> int:
        """Mark the runs that killed trainers left behind; the run of a version that exists is ``keep``."""
        query = f"tags.content_hash = '{self.batch.content_hash}' and attributes.status = 'RUNNING'"
        left = [run.info.run_id for run in self.client.search_runs([self.experiment], query) if run.info.run_id != keep]
        for run_id in left:
            self.client.set_terminated(run_id, "KILLED")
        return len(left)

    def begin(self) -> str:
        """Open the parent run, which notes which version is champion now; its id."""
        champion = registry.champion(self.mlflow, self.names.model)
        tags = {**self._tags, CHAMPION_BEFORE: champion.run_id if champion else ""}
        run: Run = self.client.create_run(self.experiment, tags=tags, run_name=self.batch.name)
        return str(run.info.run_id)

    def log(self, run_id: str, metrics: dict[str, float], parameters: Mapping[str, object]) -> None:
        """Write metrics and parameters of a run in one call."""
        now = int(time.time() * 1000)
        self.client.log_batch(
            run_id,
            metrics=[Metric(name, value, now, 0) for name, value in metrics.items()],
            params=[Param(name, str(value)) for name, value in parameters.items()],
        )

    def log_learner(self, parent: str, result: LearnerResult) -> None:
        """A finished child run with what one learner did; each fold is a step of its metrics."""
        tags = {**self._tags, "mlflow.parentRunId": parent}
        run_id = str(self.client.create_run(self.experiment, tags=tags, run_name=result.name).info.run_id)
        now = int(time.time() * 1000)
        measured = [(step, name, value) for step, fold in enumerate(result.folds) for name, value in fold.items()]
        folds = [Metric(f"fold_{name}", value, now, step) for step, name, value in measured]
        self.client.log_batch(run_id, metrics=folds)
        self.log(run_id, result.metrics(), result.parameters)
        self.client.set_terminated(run_id, "FINISHED")

    def describe(self, run_id: str, card: str, drifts: Sequence[Drift]) -> None:
        """Leave a version's card and its batch's drift in its run, for people; no server reads them."""
        self.client.log_text(run_id, card, CARD)
        self.client.set_tag(run_id, MLFLOW_RUN_NOTE, card[:_MOST_NOTE])
        if drifts:
            self.client.log_dict(run_id, {one.feature: asdict(one) for one in drifts}, DRIFT)
            self.log(run_id, {"drift_largest": drifts[0].index, "drift_large": sum(one.large for one in drifts)}, {})

    def log_json(self, run_id: str, name: str, value: dict[str, Any]) -> None:
        """Leave a value in a run, in a file called ``name``."""
        self.client.log_dict(run_id, value, name)

    def log_picture(self, run_id: str, name: str, figure: Figure) -> None:
        """Leave a picture in a run, in a file called ``name``."""
        self.client.log_figure(run_id, figure, name)

    def upload(self, run_id: str, folder: Path) -> None:
        """Upload a folder's content as the artifacts of a run."""
        self.client.log_artifacts(run_id, str(folder))

    def register(self, run_id: str, manifest_sha256: str) -> Version:
        """Make the version of a run's model, with its tags from the first moment, and wait until it is ready."""
        name, tags = self.names.model, {**self._tags, MANIFEST_SHA256: manifest_sha256}
        try:
            self.client.create_registered_model(name)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        source = f"{self.client.get_run(run_id).info.artifact_uri}/{MODEL}"
        made = self.client.create_model_version(name, source, run_id, tags=tags)
        return Version(name, str(made.version), run_id, tags)

    def wait_until_ready(self, version: Version) -> None:
        """Return when the registry says that the version is usable."""
        wait_until(
            lambda: self.client.get_model_version(version.name, version.version).status == "READY",
            _READY_S,
            f"version {version.version} of {version.name} must become READY; it did not",
        )

    def is_finished(self, run_id: str) -> bool:
        """Whether a run was brought to its end."""
        return bool(self.client.get_run(run_id).info.status == "FINISHED")

    def log_judgement(self, run_id: str, against: str, metrics: Mapping[str, float]) -> None:
        """Write what the gate said of the version of a run."""
        self.client.set_tag(run_id, GATE, against)
        self.log(run_id, dict(metrics), {})

    def promote(self, version: Version, objection: Callable[[Version | None], str] = lambda _: "") -> str:
        """
        Point the alias that serves at the version, once; return why it was not done, or nothing.

        ``objection`` is asked first why the version must not follow the version that was champion when its run began;
        empty when it may. Whoever moved the alias since the run began, or after this training had set it, knows why: it
        stays. The outcome becomes a tag of the version, after the alias: a trainer that is killed between these two
        calls, and run again after somebody moved the alias back to where it was, sets it a second time.
        """
        done = self.client.get_model_version(version.name, version.version).tags.get(PROMOTION)
        if done is not None:
            return "" if done == PROMOTED else str(done)
        before = self.client.get_run(version.run_id).data.tags.get(CHAMPION_BEFORE)
        reason = objection(self._followed(before, version))
        champion = registry.champion(self.mlflow, version.name)
        reason = reason or moved(before, champion, version)
        if not reason:
            self.client.set_registered_model_alias(version.name, CHAMPION, version.version)
        self.client.set_model_version_tag(version.name, version.version, PROMOTION, reason or PROMOTED)
        return reason

    def _followed(self, before: str | None, version: Version) -> Version | None:
        """The version of the run ``before``, unless it is registered no more; where it was not noted, the champion."""
        if before is None:
            champion = registry.champion(self.mlflow, version.name)
            return champion if champion and champion.run_id != version.run_id else None
        return next((one for one in registry.versions(self.mlflow, version.name) if one.run_id == before), None)

    def finish(self, run_id: str, status: str = "FINISHED") -> None:
        """Close a run."""
        self.client.set_terminated(run_id, status)


def moved(before: str | None, champion: Version | None, version: Version) -> str:
    """
    Why ``version`` must not become champion: the alias was moved since its training began; empty when it was not.

    ``before`` is the run of the champion as the training began, empty when there was none, None where it was not noted.
    """
    now = champion.run_id if champion else ""
    if before in (None, now) or now == version.run_id:
        return ""
    what = f"moved to version {champion.version}" if champion else "taken away"
    return f"the alias {CHAMPION} was {what} after the training began"
