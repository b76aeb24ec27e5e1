"""The story that Baton exists for."""

from loadtest.ledger import problems


def test_new_batch_becomes_new_model_without_losing_a_prediction(pipeline, first_version, ledger):
    """
    A dropped batch yields a new MLflow version, the server rolls to it, and every acked request is answered.
    """
    before = pipeline.served_version()

    with ledger.traffic(rate=50):
        batch = pipeline.drop_batch()
        after = pipeline.wait_for_version_trained_on(batch)
        pipeline.wait_until_served(after)
        ledger.wait_until_answered_by(after)

    assert set() == ledger.missing()
    assert {before, after} <= ledger.versions_seen()

    verdict = ledger.verdict(pipeline.expected([before, after]))
    assert [] == problems(verdict, 2, must_compare=True)

    judged = pipeline.metrics(pipeline.champion())
    assert judged["gate_rows"] > 0, "the version was compared with the one before, on the same rows"
    assert judged["gate_worse_low"] < judged["gate_worse_high"], "within what chance explains"
