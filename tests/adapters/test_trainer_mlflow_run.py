"""The trainer's side of MLflow, on a real server."""

import uuid

import pytest
from mlflow import MlflowClient

from apps.common import registry
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


@pytest.fixture
def trained(mlflow):
    """Trains on another batch of one model of the test's own; the run and the version that is registered by then."""
    names = StackNames("baton", f"model_{uuid.uuid4().hex[:8]}")

    def train(meanwhile=lambda: None):
        run = MlflowRun(mlflow, names, Batch("b", 1, uuid.uuid4().hex))
        run_id = run.begin()
        meanwhile()
        return run, run.register(run_id, "a" * 64)

    return train


def point(mlflow, version):
    """What a person does who rolls back."""
    MlflowClient(mlflow).set_registered_model_alias(version.name, "champion", version.version)


def champion(mlflow, version):
    """The version that has the alias, and why the training of ``version`` did not give it to that."""
    (own,) = (one for one in registry.versions(mlflow, version.name) if one.version == version.version)
    found = registry.champion(mlflow, version.name)
    return found and found.version, own.withheld


def test_versions_become_champion_one_after_the_other(mlflow, trained):
    """The first without an alias there, the next in place of the one before; doing it again changes nothing."""
    for number in ("1", "2"):
        run, version = trained()
        assert ["", ""] == [run.promote(version), run.promote(version)]
        assert (number, "") == champion(mlflow, version)


def test_a_roll_back_while_a_training_runs_is_not_undone(mlflow, trained):
    """The alias was moved after the run began: the new version is registered, and says why it is not champion."""
    (run, first), (_, second) = trained(), trained()
    run.promote(first)
    run, third = trained(meanwhile=lambda: point(mlflow, second))
    reason = run.promote(third)

    assert "the alias champion was moved to version 2 after the training began" == reason
    assert ("2", reason) == champion(mlflow, third)
    assert reason == run.promote(third)


def test_an_alias_taken_away_while_a_training_runs_stays_away(mlflow, trained):
    """Whoever took it away wants nothing rolled out, or will say what."""
    run, first = trained()
    run.promote(first)
    client = MlflowClient(mlflow)
    run, second = trained(meanwhile=lambda: client.delete_registered_model_alias(first.name, "champion"))

    assert "the alias champion was taken away after the training began" == run.promote(second)
    assert None is champion(mlflow, second)[0]


def test_a_roll_back_before_a_killed_training_is_run_again_is_not_undone(mlflow, trained):
    """The training had set the alias, was killed before its run was finished, and finds it where its run began."""
    run, first = trained()
    run.promote(first)
    run, second = trained()
    run.promote(second)
    point(mlflow, first)

    assert "" == run.promote(second)
    assert ("1", "") == champion(mlflow, second)


def test_a_training_that_was_killed_as_it_set_the_alias_goes_on(mlflow, trained):
    """The alias is there and the tag is not: nobody moved it."""
    run, first = trained()
    run.promote(first)
    run, second = trained()
    point(mlflow, second)

    assert "" == run.promote(second)
    assert ("2", "") == champion(mlflow, second)


def test_a_run_that_an_earlier_baton_began_sets_the_alias(mlflow, trained):
    """It did not note which version was champion."""
    run, first = trained()
    run.promote(first)
    run, second = trained()
    run.client.delete_tag(second.run_id, registry.CHAMPION_BEFORE)

    assert "" == run.promote(second)
    assert ("2", "") == champion(mlflow, second)


def test_the_gate_is_asked_about_the_champion_of_the_runs_begin_and_once(mlflow, trained):
    """Its objection is the outcome, wherever the alias is by then; who runs the training again is told the same."""
    run, first = trained()
    run.promote(first)
    asked = []
    run, second = trained()

    def objection(champion):
        asked.append(champion.run_id)
        return "it is worse"

    assert ["it is worse", "it is worse"] == [run.promote(second, objection), run.promote(second, objection)]
    assert [first.run_id] == asked
    assert ("1", "it is worse") == champion(mlflow, second)


def test_a_training_that_was_killed_as_it_set_the_alias_is_judged_beside_the_same_champion(mlflow, trained):
    """It is champion itself by then, and is not compared with itself; whatever else the alias says stays."""
    run, first = trained()
    run.promote(first)
    run, second = trained()
    point(mlflow, second)
    asked = []

    assert "" == run.promote(second, lambda before: asked.append(before.version) or "")
    assert ["1"] == asked


def test_a_champion_that_was_deleted_meanwhile_is_none(mlflow, trained):
    """There is nothing to compare with, and the alias that went with it counts as taken away."""
    run, first = trained()
    run.promote(first)
    client = MlflowClient(mlflow)
    run, second = trained(meanwhile=lambda: client.delete_model_version(first.name, first.version))
    asked = []

    assert "taken away" in run.promote(second, lambda before: asked.append(before) or "")
    assert [None] == asked
