"""The transform between what is learned and what is answered, and the numbers that MLflow shows."""

from apps.trainer.target_transform import AS_IT_IS, EXP, PROBABILITY, TargetTransform


def test_a_prediction_stays_near_what_was_seen():
    """The SQL clips a learned value to the bounds before it is brought to the target's scale."""
    assert TargetTransform(1.0, 2.0, EXP).sql("x") == "exp(greatest(least(x, 2.0D), 1.0D))"
    assert TargetTransform(1.0, 2.0, AS_IT_IS).sql("x") == "greatest(least(x, 2.0D), 1.0D)"
    assert TargetTransform(-3.0, 3.0, PROBABILITY).sql("x") == "1D / (1D + exp(-greatest(least(x, 3.0D), -3.0D)))"


def test_the_last_stage_drops_what_is_internal_and_answers_what_is_not_rejected():
    """Only a row without a rejection gets a prediction, and no internal column leaves the pipeline."""
    statement = TargetTransform(0.0, 1.0, AS_IT_IS).last_stage_sql("_b_stacked", ["_b_stacked", "_b_x"])

    assert "EXCEPT (`_b_stacked`, `_b_x`)" in statement
    assert "WHEN rejection IS NULL" in statement
