"""What was measured, under the names that MLflow shows."""

from apps.trainer.ensemble import Ensemble, Trial


def trial_metrics(trial: Trial) -> dict[str, float]:
    """A learner's metrics: ``cv_`` the mean over the folds, ``test_`` on the test rows, and its seconds."""
    names = trial.folds[0].keys() if trial.folds else ()
    means = {name: sum(fold.get(name, 0.0) for fold in trial.folds) / len(trial.folds) for name in names}
    seconds = {
        "cv_training_seconds": means.pop("training_seconds", 0.0),
        "validation_seconds": means.pop("validation_seconds", 0.0),
        "training_seconds": trial.training_seconds,
    }
    return {**_named("cv", means), **_named("test", trial.test), **seconds}


def ensemble_metrics(ensemble: Ensemble) -> dict[str, float]:
    """The whole model's metrics on the test rows, and the stacker's on the out-of-fold rows it was fitted on."""
    return {
        **_named("test", ensemble.test),
        **_named("out_of_fold", ensemble.out_of_fold),
        **_named("stacker", ensemble.stacker),
    }


def _named(prefix: str, values: dict[str, float]) -> dict[str, float]:
    return {f"{prefix}_{name}": value for name, value in values.items()}
