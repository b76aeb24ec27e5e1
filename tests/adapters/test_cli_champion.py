"""``./baton promote`` and ``rollback``, on the registry of a real MLflow that the trainer's own code fills."""

import json
import re
from types import SimpleNamespace

import pytest
from mlflow import MlflowClient
from typer.testing import CliRunner

from apps.common import registry
from apps.common.errors import BatonError, Unavailable
from stack.cli.commands import app
from stack.cli.pipeline import Pipeline
from stack.cli.stack import Stack
from tests.adapters.model_shop import Shop


@pytest.fixture
def shop(mlflow):
    return Shop(mlflow)


def test_a_version_that_the_gate_withheld_becomes_champion_by_a_persons_word(shop):
    """The alias moves, the reason stays with the version, and a later training is compared with this one."""
    shop.train()
    shop.train(objection="it is worse")
    assert ("1", ["", "it is worse"]) == (shop.champion, shop.withheld)

    move = shop.promote("2")

    assert "2" == shop.champion
    told = "version 2 is champion now, in place of version 1; the watcher rolls it out; "
    assert f"{told}its training had withheld it: it is worse" == move.words()
    assert "3" == shop.train()
    assert "3" == shop.champion


def test_a_version_that_is_not_there_is_named_beside_those_that_are(shop):
    """Nothing moves."""
    shop.train()
    shop.train()
    with pytest.raises(
        BatonError, match=re.escape("VERSION must be a registered one (1, 2); got 9; see ./baton status")
    ):
        shop.promote("9")

    assert "2" == shop.champion


def test_promoting_the_champion_changes_nothing(shop):
    """It may be said twice; what was champion before it stays known."""
    shop.train()
    shop.train()
    assert "version 2 is champion already; nothing was moved" == shop.promote("2").words()

    assert "version 1 is champion now, in place of version 2; the watcher rolls it out" == shop.roll_back().words()


def test_a_second_version_of_the_champions_run_becomes_champion_too(shop):
    """A release serves a version, and the watcher rolls it out as any other."""
    shop.train()
    run = registry.champion(shop.mlflow, shop.names.model).run_id
    MlflowClient(shop.mlflow).create_model_version(shop.names.model, f"runs:/{run}/model", run)
    words = shop.promote("2").words()

    assert "version 2 is champion now, in place of version 1; the watcher rolls it out" == words
    assert ("2", ["1"]) == (shop.champion, shop.roll_backs())


@pytest.mark.parametrize("dies", ["move_champion", "note_champions"])
def test_a_promotion_that_dies_on_its_way_turns_no_roll_back_around(shop, monkeypatch, dies):
    """Whether the alias has moved or not: each roll-back leads to an older version, until there is none."""

    def away(*_):
        raise Unavailable("MLflow is away")

    for _ in range(3):
        shop.train()
    with monkeypatch.context() as broken:
        broken.setattr(registry, dies, away)
        with pytest.raises(Unavailable):
            shop.promote("2")

    assert {"move_champion": ["2", "1"], "note_champions": ["1"]}[dies] == shop.roll_backs()


def test_roll_backs_lead_to_each_version_once_from_the_newest_champion_to_the_oldest(shop):
    """A person went from a bad 3 to 1, and a training went on from there: 1 was champion after 3, and 3 after 2."""
    for _ in range(3):
        shop.train()
    shop.promote("1")
    shop.train()

    assert ["1", "3", "2"] == shop.roll_backs()


def test_what_is_promoted_after_a_roll_back_follows_what_was_gone_back_to(shop):
    """What was left by the roll-back is not come back to."""
    for objection in ("", "", "", "it is worse"):
        shop.train(objection)
    shop.roll_back()
    shop.promote("4")

    assert ["2", "1"] == shop.roll_backs()


def test_what_is_kept_of_the_champions_is_bounded(shop, monkeypatch):
    """The oldest are forgotten first."""
    monkeypatch.setattr(registry, "CHAMPIONS_KEPT", 3)
    for _ in range(4):
        shop.train()
    shop.promote("1")

    assert ["4", "3"] == shop.roll_backs()


def test_a_roll_back_goes_to_what_was_champion_before_and_once_more_further_back(shop):
    """A version that was withheld was never champion, so it is passed over; before the first there is none."""
    shop.train()
    shop.train()
    shop.train(objection="it is worse")
    shop.train()

    assert ["2", "1"] == [shop.roll_back().version, shop.roll_back().version]
    with pytest.raises(BatonError, match="must have been champion before version 1; none is known"):
        shop.roll_back()
    assert "1" == shop.champion


def test_what_a_person_promoted_is_rolled_back_to_what_was_champion_then(shop):
    """And not to what was champion when its training began."""
    for objection in ("", "it is worse", ""):
        shop.train(objection)
    shop.promote("2")

    assert ("2", "3") == (shop.champion, shop.roll_back().version)
    assert "3" == shop.champion


def test_a_roll_back_while_a_training_runs_is_not_undone(shop):
    """The training ends with its version withheld, for that reason."""
    shop.train()
    shop.train()
    shop.train(meanwhile=shop.roll_back)

    assert "1" == shop.champion
    assert "the alias champion was moved to version 1 after the training began" == shop.withheld[-1]


def test_where_nothing_is_champion_there_is_nothing_to_roll_back(shop):
    """The alias was taken away; to name a version is the way."""
    number = shop.train()
    MlflowClient(shop.mlflow).delete_registered_model_alias(shop.names.model, "champion")
    with pytest.raises(BatonError, match=r"there is none; name one: \./baton promote VERSION"):
        shop.roll_back()

    assert "version 1 is champion now, where there was none; the watcher rolls it out" == shop.promote(number).words()


def test_a_version_that_was_deleted_is_passed_over(shop):
    """The one before it follows, whether a training or a person made the present one champion."""
    for _ in range(4):
        shop.train()
    MlflowClient(shop.mlflow).delete_model_version(shop.names.model, "3")
    assert "2" == shop.roll_back().version
    shop.promote("4")
    MlflowClient(shop.mlflow).delete_model_version(shop.names.model, "2")

    assert ["1"] == shop.roll_backs()


def test_a_version_that_was_deleted_is_not_rolled_back_to(shop):
    """MLflow has it no more, and nothing moves."""
    shop.train()
    shop.train()
    MlflowClient(shop.mlflow).delete_model_version(shop.names.model, "1")
    with pytest.raises(BatonError, match="none is known that is still there"):
        shop.roll_back()

    assert "2" == shop.champion


@pytest.mark.parametrize("mode", ["embedded", "cluster"])
def test_the_commands_tell_a_person_and_a_program_the_same(shop, monkeypatch, mode):
    """In either mode; --wait returns when the version serves; with --json nothing but JSON is on standard output."""
    waited = []

    class PromotingLoop(Pipeline):
        def __init__(self):
            self.environment = {
                "BATON_MLFLOW": shop.mlflow,
                "BATON_STACK": "baton",
                "BATON_DATASET": shop.names.dataset,
            }

    monkeypatch.setattr(PromotingLoop, "wait_until_served", lambda _, version: waited.append(version))
    monkeypatch.setattr(Stack, "pipeline", lambda _: PromotingLoop())
    monkeypatch.setattr(Stack, "runtime", SimpleNamespace())
    shop.train()
    shop.train()

    back = CliRunner().invoke(app, ["rollback", "--mode", mode])
    on = CliRunner().invoke(app, ["promote", "2", "--wait", "--json", "--mode", mode])

    assert (0, "version 1 is champion now, in place of version 2; the watcher rolls it out\n") == (
        back.exit_code,
        back.stdout,
    )
    assert {"version": "2", "before": "1", "withheld": ""} == json.loads(on.stdout)
    assert (["2"], "2") == (waited, shop.champion)
