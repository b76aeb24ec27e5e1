"""The trainer's side of MLflow, on a real server."""

import uuid

from mlflow import MlflowClient

from apps.common.batches import Batch
from apps.common.names import StackNames
from apps.trainer.mlflow_run import MlflowRun


def test_an_experiment_that_somebody_deleted_is_restored(mlflow):
    """A training goes on as before, with the runs that were there."""
    names, batch = StackNames("baton", f"boston_{uuid.uuid4().hex[:8]}"), Batch("b-0001", 1, "a" * 64)
    first = MlflowRun(mlflow, names, batch).begin()
    client = MlflowClient(mlflow)
    experiment = client.get_experiment_by_name(names.model).experiment_id
    client.delete_experiment(experiment)

    second = MlflowRun(mlflow, names, batch).begin()

    found = {run.info.run_id for run in client.search_runs([experiment])}
    assert {first, second} == found
