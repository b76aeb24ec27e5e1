"""The questions to the model registry, asked of a real MLflow server."""

import uuid

import pytest
from mlflow import MlflowClient

from apps.common import registry
from apps.common.errors import Unavailable


@pytest.fixture
def client(mlflow):
    """MLflow's own client, which plays the trainer."""
    return MlflowClient(tracking_uri=mlflow, registry_uri=mlflow)


@pytest.fixture
def model(client):
    """A registered model that no other test uses, without a version."""
    name = f"model_{uuid.uuid4().hex[:8]}"
    client.create_registered_model(name)
    return name


def add_version(client, model, **tags):
    """A version with a run of its own; (version, run id)."""
    run = client.create_run("0").info
    made = client.create_model_version(model, f"{run.artifact_uri}/model", run.run_id, tags=tags)
    return str(made.version), run.run_id


def test_before_there_is_a_model_or_an_alias_there_is_no_champion(mlflow, client, model):
    """
    An unknown model, a model without versions and one without the alias are all no champion, and no error.
    """
    add_version(client, model)

    assert registry.champion(mlflow, "never_registered") is None
    assert registry.champion(mlflow, model) is None
    assert [] == registry.versions(mlflow, "never_registered")


def test_the_champion_is_the_version_that_the_alias_points_at(mlflow, client, model):
    """
    Moving the alias forwards and back changes the champion, and its run and tags are told.
    """
    (first, run), (second, _) = add_version(client, model, batch="b-0001"), add_version(client, model)

    for version in (first, second, first):
        client.set_registered_model_alias(model, "champion", version)
        assert version == registry.champion(mlflow, model).version

    assert registry.Version(model, first, run, {"batch": "b-0001"}) == registry.champion(mlflow, model)


def test_the_champion_can_be_moved(mlflow, client, model):
    """
    Forwards and back, as MLflow's own client sees it; a version that is not there is refused, and nothing moves.
    """
    first, second = add_version(client, model)[0], add_version(client, model)[0]

    for version in (second, first):
        registry.move_champion(mlflow, model, version)
        assert version == str(client.get_model_version_by_alias(model, "champion").version)
    with pytest.raises(Unavailable, match=r"is version 99 there\?"):
        registry.move_champion(mlflow, model, "99")
    assert first == registry.champion(mlflow, model).version


def test_versions_come_oldest_first_also_beyond_nine(mlflow, client, model):
    """
    The order is that of numbers, not of texts, and no page is left out.
    """
    for _ in range(11):
        add_version(client, model)

    assert [str(number) for number in range(1, 12)] == [one.version for one in registry.versions(mlflow, model)]


def test_every_page_of_versions_is_asked_for(mlflow, client, model, monkeypatch):
    """
    More versions than fit into one answer are all listed.
    """
    for _ in range(5):
        add_version(client, model)
    monkeypatch.setattr(registry, "PAGE", "2")

    assert 5 == len(registry.versions(mlflow, model))


def test_the_metrics_of_a_run_are_their_last_values(mlflow, client, model):
    """
    Of a metric that was logged twice the later value counts; an unknown run has none.
    """
    _, run = add_version(client, model)
    client.log_metric(run, "rmse", 2.0, step=0)
    client.log_metric(run, "rmse", 1.0, step=1)

    assert {"rmse": 1.0} == registry.metrics(mlflow, run)
    assert {} == registry.metrics(mlflow, "0" * 32)


def test_a_question_that_mlflow_refuses_is_not_taken_for_an_empty_answer(mlflow):
    """
    A malformed name is an error that tells what MLflow said.
    """
    with pytest.raises(Unavailable, match="INVALID_PARAMETER_VALUE"):
        registry.versions(mlflow, "it's")


@pytest.mark.parametrize("proxy", ["", "http://127.0.0.1:9"])
def test_no_mlflow_is_unavailable_and_a_proxy_of_the_machine_does_not_matter(mlflow, monkeypatch, proxy):
    """
    Where nobody listens that is said in one line; the machine's proxy is never asked.
    """
    monkeypatch.setenv("http_proxy", proxy)
    monkeypatch.setenv("no_proxy", "")

    assert registry.champion(mlflow, "never_registered") is None
    with pytest.raises(Unavailable, match=r"MLflow must answer at http://127\.0\.0\.1:9; got no connection"):
        registry.champion("http://127.0.0.1:9", "model")
