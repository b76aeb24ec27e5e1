"""The numbers that MLflow shows of an ensemble."""

import pytest

from apps.trainer.ensemble import STACKED, LearnerResult, best


def test_a_learner_reports_the_mean_of_its_folds_and_its_seconds():
    """Fold metrics become one cv_ metric each; seconds keep their own names."""
    folds = [
        {"rmse": 1.0, "training_seconds": 2.0, "validation_seconds": 0.5},
        {"rmse": 3.0, "training_seconds": 4.0, "validation_seconds": 1.5},
    ]
    result = LearnerResult(
        "trees", "_b_trees", folds=folds, test={"rmse": 5.0}, training_seconds=7.0, scoring_seconds=0.5
    )

    assert result.metrics() == {
        "cv_rmse": 2.0,
        "test_rmse": 5.0,
        "cv_training_seconds": 3.0,
        "validation_seconds": 1.0,
        "training_seconds": 7.0,
        "scoring_seconds": 0.5,
    }


@pytest.mark.parametrize(
    ("stack", "trees", "predictor"), [(4.9, 5.0, STACKED), (5.0, 5.0, STACKED), (5.1, 5.0, "trees")]
)
def test_a_learner_that_is_better_than_the_stack_predicts_alone(stack, trees, predictor):
    """On the test rows, by the error; where both are as good it is the stack."""
    results = [LearnerResult("linear", "_b_linear", test={"rmse": 9.0, "r2": 0.0}), LearnerResult("trees", "_b_trees")]
    results[1].test = {"rmse": trees, "r2": 0.5}

    found, test = best("regression", results, {"rmse": stack, "r2": 0.6})

    assert predictor == found
    assert test["rmse"] == min(stack, trees)
