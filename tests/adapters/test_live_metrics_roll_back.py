"""What the alarm does to the registry of a real MLflow."""

import pytest
import structlog

from apps.common import registry
from apps.common.registry import ALARM, ROLLED_BACK
from apps.live_metrics.roll_back import Guard
from apps.live_metrics.settings import LiveMetricsSettings
from apps.live_metrics.windows import Sums, Windows
from tests.adapters.model_shop import Shop

GOOD, BAD = 1.0, 9.0


@pytest.fixture
def shop(mlflow):
    return Shop(mlflow)


@pytest.fixture
def look(shop, tmp_path):
    """Judge once, by two windows of each of these versions with errors of that size; what was logged."""

    def look(alarm="act", **errors):
        told = {
            "kafka": "127.0.0.1:9",
            "hdfs": "hdfs://127.0.0.1:9",
            "mlflow": shop.mlflow,
            "stack": shop.names.stack,
            "dataset": shop.names.dataset,
            "scratch": tmp_path,
            "spark_jars": tmp_path,
            "ready_file": tmp_path / "ready",
        }
        log = structlog.testing.CapturingLogger()
        guard = Guard(LiveMetricsSettings(**told, alarm=alarm), "regression", log)
        windows = Windows()
        for version, error in errors.items():
            one = Sums(answers=200, labelled=200, square=200 * error**2, fourth=200 * error**4)
            windows.sums |= {(version.removeprefix("v"), start): one for start in (0, 60)}
        guard.see(windows)
        guard.look()
        return [call.kwargs.get("kept", call.args[0]) for call in log.calls]

    return look


def tags(shop, number):
    """The tags of a version."""
    return registry.version(shop.mlflow, shop.names.model, number).tags


def test_a_champion_that_fails_is_undone_once_and_its_version_says_why(shop, look):
    """The alias goes back; the evidence names window, n, interval and both versions; the next training follows on."""
    shop.train()
    shop.train()
    assert ["rolled back"] == look(v1=GOOD, v2=BAD)

    assert "1" == shop.champion
    assert "RMSE 9 (95 %: 9 to 9, n = 200)" in tags(shop, "2")[ALARM]
    assert "version 1's live RMSE of at most 1 (n = 400)" in tags(shop, "2")[ALARM]
    assert tags(shop, "2")[ROLLED_BACK].startswith("to version 1: ")
    assert "rolled back to version 1: " in registry.version(shop.mlflow, shop.names.model, "2").alarm
    assert [] == look(v1=GOOD, v2=BAD)
    assert "3" == shop.train() == shop.champion
    assert ["rolled back"] == look(v1=GOOD, v3=BAD)
    assert "1" == shop.champion


def test_a_champion_that_does_as_well_as_the_one_before_stays_and_so_does_one_without_outcomes(shop, look):
    """Nothing is said, and no tag is set."""
    shop.train()
    shop.train()

    assert [] == look(v1=GOOD, v2=GOOD) == look(v1=GOOD) == look() == look(alarm="off", v1=GOOD, v2=BAD)
    assert ("2", False) == (shop.champion, ALARM in tags(shop, "2"))


def test_a_dry_run_says_it_and_moves_nothing(shop, look):
    """The version has the evidence."""
    shop.train()
    shop.train()

    assert ["the alarm is a dry run; --set alarm=act undoes such a version"] == look(alarm="dry-run", v1=GOOD, v2=BAD)
    assert "2" == shop.champion
    assert "its live error is too large: " in registry.version(shop.mlflow, shop.names.model, "2").alarm
    assert ROLLED_BACK not in tags(shop, "2")


def test_what_a_person_moved_stays(shop, look):
    """By promote, by rollback, and a version that was undone before and was made champion again."""
    for _ in range(3):
        shop.train()
    shop.promote("2")
    assert ["a person made it champion"] == look(v3=GOOD, v2=BAD)
    shop.promote("3")
    assert ["a person made it champion"] == look(v2=GOOD, v3=BAD)
    shop.roll_back()
    assert ["a person made it champion"] == look(v1=GOOD, v2=BAD)
    assert ("2", False) == (shop.champion, ROLLED_BACK in tags(shop, "2"))

    shop.train()
    look(v2=GOOD, v4=BAD)
    assert "2" == shop.champion
    registry.move_champion(shop.mlflow, shop.names.model, "4")
    assert ["it was rolled back before, and somebody made it champion again"] == look(v2=GOOD, v4=BAD)
    assert "4" == shop.champion


def test_the_first_version_and_one_that_nothing_is_known_of_stay(shop, look):
    """There is nothing to go back to; and what is not known fails nobody."""
    shop.train()
    assert [] == look(v1=BAD)  # its run has no test error
    run = registry.champion(shop.mlflow, shop.names.model).run_id
    registry.log_metrics(shop.mlflow, run, {"test_rmse": GOOD}, 0)
    assert ["no version was champion before it"] == look(v1=BAD)
    assert "1" == shop.champion
