"""From a fitted ensemble to a version that serves: logged, registered, its train set named, promoted."""

import shutil
from concurrent.futures import ThreadPoolExecutor

from apps.common.drift import Baseline, Drift
from apps.common.files import sha256
from apps.common.model_files import MANIFEST, MODEL, PREDICTIONS_BASELINE, REQUESTS_BASELINE
from apps.common.registry import Version
from apps.datasets.declaration import Dataset
from apps.trainer import artifacts, drift
from apps.trainer.cleaning import input_columns
from apps.trainer.ensemble import Ensemble
from apps.trainer.found_batch import FoundBatch, TrainingContext
from apps.trainer.gate import judge
from apps.trainer.golden import golden
from apps.trainer.mlflow_run import PICTURE, MlflowRun
from apps.trainer.model_card import card
from apps.trainer.prediction_picture import draw
from apps.trainer.prepare import NONE, CheckedRows, TrainSet
from apps.trainer.train_set import ROWS_SHA256, rows_sha256


def log_model(context: TrainingContext, run: MlflowRun, run_id: str, train_set: TrainSet, ensemble: Ensemble) -> str:
    """Write numbers and artifacts to MLflow; return the sha256 of the manifest, which vouches for every other file."""
    settings, pipeline = context.settings, ensemble.pipeline
    folder = settings.scratch / "artifacts"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    with ThreadPoolExecutor(3) as pool:  # each waits for Spark most of the time
        saving = settings.shared("saving") if settings.executors else str(settings.scratch / "saving")
        saved = pool.submit(artifacts.save_model, folder, pipeline, saving)
        golden_rows = pool.submit(golden, context.session.result(), context.dataset, train_set.rows, pipeline)
        drifts = pool.submit(_drifts, context, train_set)
        baseline = pool.submit(drift.baseline, context.dataset, train_set.rows)
        for result in ensemble.learners:
            run.log_learner(run_id, result)
        counted = _counted(train_set.checked, train_set.rows.count())
        batches = train_set.checked.counts
        parameters = {"folds": settings.folds, "batches": len(batches), "task": context.dataset.task}
        saved.result()
        measured = ensemble.metrics() | counted | {"model_bytes": artifacts.size(folder / MODEL)}
        run.log(run_id, measured, parameters | {"predictor": ensemble.predictor})
        contract = _contract(context.dataset, counted["rows"], list(batches))
        artifacts.write(folder, contract, golden_rows.result())
    run.upload(run_id, folder)
    run.describe(run_id, card(context.dataset, train_set.checked.order, counted, ensemble), drifts.result())
    run.log_json(run_id, REQUESTS_BASELINE, baseline.result())
    return sha256(folder / MANIFEST)


def _drifts(context: TrainingContext, train_set: TrainSet) -> list[Drift]:
    """How the batch differs from those before it, feature by feature; a person is told of what is large."""
    if len(train_set.checked.order) == 1 or train_set.checked.own == NONE:
        return []
    found = drift.measure(context.dataset, train_set.rows, context.settings.batch)
    if large := [one.words() for one in found if one.large]:
        context.log.warning("the batch differs from those before it", drift=large)
    return found


def _counted(checked: CheckedRows, kept: int) -> dict[str, int]:
    read = sum(counts.rows for counts in checked.counts.values())
    bad = sum(counts.quarantined for counts in checked.counts.values())
    return {
        "rows": kept,
        "rows_read": read,
        "rows_quarantined": bad,
        "rows_left_out": read - bad - kept,  # repeated, or beyond max_train_rows
        "batch_rows": checked.own.rows,
        "batch_quarantined": checked.own.quarantined,
    }


def _contract(dataset: Dataset, rows: int, batches: list[str]) -> dict[str, object]:
    return {
        "dataset": dataset.name,
        "task": dataset.task,
        "input_columns": list(input_columns(dataset)),
        "columns": list(dataset.column_names),
        ROWS_SHA256: rows_sha256(dataset),
        "rows": rows,
        "batches": sorted(batches),
    }


def name_train_set(context: TrainingContext, found: FoundBatch, version: Version) -> None:
    """Give the train set its version's number; what has it already is of a model that was begun anew."""
    store, unnamed = context.store, found.unnamed_train_set(context.store)
    target = store.folder("train-sets", version.version)
    if store.exists(unnamed):
        store.files.delete(target)
        store.files.rename(unnamed, target)


def promote(context: TrainingContext, run: MlflowRun, version: Version) -> None:
    """Let the version serve, when the gate lets it; otherwise it stays registered, with the reason."""
    run.wait_until_ready(version)

    def objection(champion: Version | None) -> str:
        judgement = judge(context, version, champion)
        run.log_judgement(version.run_id, judgement.against, judgement.metrics)
        tell = context.log.info if judgement.metrics or judgement.reason else context.log.warning
        tell("judged", against=judgement.against)
        if judgement.rows is not None:
            labels, predictions, _ = judgement.rows
            picture = draw(context.dataset.task, context.dataset.target, labels, predictions)
            run.log_picture(version.run_id, PICTURE, picture)
            run.log_json(version.run_id, PREDICTIONS_BASELINE, Baseline.of_numbers(predictions).to_dict())
        return judgement.reason

    if reason := run.promote(version, objection):
        context.log.warning(
            "the version is registered and is not champion",
            version=version.version,
            reason=reason,
            advice=f"if it shall serve: ./baton promote {version.version}",
        )
