"""The numbers that MLflow shows of an ensemble."""

from apps.trainer.ensemble import LearnerResult


def test_a_learner_reports_the_mean_of_its_folds_and_its_seconds():
    """Fold metrics become one cv_ metric each; seconds keep their own names."""
    folds = [
        {"rmse": 1.0, "training_seconds": 2.0, "validation_seconds": 0.5},
        {"rmse": 3.0, "training_seconds": 4.0, "validation_seconds": 1.5},
    ]
    result = LearnerResult("forest", "_b_forest", folds=folds, test={"rmse": 5.0}, training_seconds=7.0)

    assert result.metrics() == {
        "cv_rmse": 2.0,
        "test_rmse": 5.0,
        "cv_training_seconds": 3.0,
        "validation_seconds": 1.0,
        "training_seconds": 7.0,
    }
