"""
One training: the steps in their order, each with what it takes from those before it.

A training can be killed anywhere and begun again: what is already done is found by the batch's content hash.
"""

from apps.common.errors import BatchRefused
from apps.common.registry import Version
from apps.common.steps import StepRunner
from apps.trainer import litter, time_line
from apps.trainer.ensemble import Ensemble, train
from apps.trainer.found_batch import FoundBatch, TrainingContext, find, refuse
from apps.trainer.mlflow_run import TIME_LINE
from apps.trainer.prepare import TrainSet, keep, quarantine, read, verify
from apps.trainer.publish import log_model, name_train_set, promote
from apps.trainer.stopping import CleanStop


def train_on_batch(context: TrainingContext, stop: CleanStop) -> None:
    """Do what is left to do for the batch; raise BatchRefused when it breaks its contract: it is in refused/ then."""
    step = StepRunner(context.log)
    try:
        found = step("find the batch", find, context)
        if found.version is None:
            version = _make_version(context, found, step, stop)
        elif found.run.is_finished(found.version.run_id):
            return
        else:
            version = found.version
        _close(context, found, version, step, stop)
    except BatchRefused as refusal:
        refuse(context, str(refusal))
        raise


def _make_version(context: TrainingContext, found: FoundBatch, step: StepRunner, stop: CleanStop) -> Version:
    """From the batch to a registered version: from then on a trainer that starts again only closes."""
    used = step("verify the batch", verify, context, found)
    step("remove what is left over", litter.remove, context, found, used)
    checked = step("read every row", read, context, found, used)
    step("quarantine bad rows", quarantine, context, checked)
    train_set = step("keep the train set", keep, context, found, checked)
    stop.open_run = run_id = step("begin the run", found.run.begin)
    ensemble = step("train the ensemble", _train, context, found, train_set)
    manifest = step("log the model", log_model, context, found.run, run_id, train_set, ensemble)
    return step("register the version", found.run.register, run_id, manifest)


def _close(context: TrainingContext, found: FoundBatch, version: Version, step: StepRunner, stop: CleanStop) -> None:
    """From a registered version to one that serves; the run is finished last, and says that all of it is done."""
    stop.open_run = version.run_id
    step("name the train set", name_train_set, context, found, version)
    if found.manifest:
        step("move the batch to used", context.store.use, found.batch.name)
    step("promote the version", promote, context, found.run, version)
    step("draw the time line", found.run.log_picture, version.run_id, TIME_LINE, time_line.draw(step.done))
    step("finish the run", found.run.finish, version.run_id)
    stop.open_run = ""


def _train(context: TrainingContext, found: FoundBatch, train_set: TrainSet) -> Ensemble:
    settings = context.settings if found.manifest else context.settings.drawn_anew(found.batch.content_hash)
    ensemble = train(context.dataset, train_set.rows, settings)
    context.log.info(
        "trained", predictor=ensemble.predictor, **{name: round(value, 4) for name, value in ensemble.test.items()}
    )
    return ensemble
