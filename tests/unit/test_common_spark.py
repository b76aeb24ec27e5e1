"""Where Spark runs is told, all of it or nothing."""

import pytest

from apps.common.errors import SettingsError
from apps.common.settings import load
from apps.common.spark import KUBERNETES, ExecutorSettings

TOLD = {
    "BATON_EXECUTORS": "2",
    "BATON_POD_NAME": "trainer-7",
    "BATON_POD_IP": "10.0.0.7",
    "BATON_EXECUTOR_IMAGE": "baton/apps:1",
    "BATON_EXECUTOR_TEMPLATE": "/etc/baton/executor.yaml",
    "BATON_HDFS": "hdfs://namenode:1",
}


def test_without_executors_spark_is_told_nothing():
    """
    One process needs no scheduler.
    """
    assert {} == load(ExecutorSettings).spark_options()


@pytest.mark.parametrize(
    ("executors", "master", "closed"),
    [(0, "local[4]", "true"), (0, "local", "true"), (2, "local[4]", "true"), (0, "spark://elsewhere:7077", "false")],
)
def test_a_driver_is_closed_where_spark_can_see_to_the_secret(monkeypatch, executors, master, closed):
    """
    It draws one for itself, and hands it to its executors; on another master a person would have to.
    """
    for name, value in {**TOLD, "BATON_EXECUTORS": str(executors)}.items():
        monkeypatch.setenv(name, value)

    assert {"spark.authenticate": closed} == load(ExecutorSettings).authentication(master)


def test_with_executors_kubernetes_schedules_them_beside_this_pod(monkeypatch):
    """
    The pod is their owner and their driver, and its folder in HDFS is what they share.
    """
    for name, value in TOLD.items():
        monkeypatch.setenv(name, value)

    settings = load(ExecutorSettings)
    options = settings.spark_options()

    assert (KUBERNETES, "2", "10.0.0.7", "trainer-7") == tuple(
        options[f"spark.{name}"]
        for name in ("master", "executor.instances", "driver.host", "kubernetes.driver.pod.name")
    )
    assert "hdfs://namenode:1/baton/baton/scratch/trainer-7/model" == settings.shared("model")


def test_a_driver_with_executors_makes_and_removes_pods_only(monkeypatch):
    """
    Spark's wishes for anything else are off: its role does not allow them, and each would be an error in a log.
    """
    for name, value in TOLD.items():
        monkeypatch.setenv(name, value)
    options = load(ExecutorSettings).spark_options()

    assert "true" == options["spark.kubernetes.executor.disableConfigMap"]
    for name in ("service.deleteOnTermination", "ownPersistentVolumeClaim", "reusePersistentVolumeClaim"):
        assert "false" == options[f"spark.kubernetes.driver.{name}"]


def test_executors_without_the_rest_are_refused_with_what_is_missing(monkeypatch):
    """
    Every missing variable is named at once.
    """
    monkeypatch.setenv("BATON_EXECUTORS", "1")

    with pytest.raises(SettingsError, match="BATON_EXECUTOR_IMAGE, BATON_EXECUTOR_TEMPLATE, BATON_POD_NAME"):
        load(ExecutorSettings)
