"""What a stack calls what it has on a platform that others use too."""

import json
import re

import pytest
import yaml

from apps.common.errors import SettingsError
from apps.common.names import DEFAULT_STACK, STACK_NAME, StackNames
from apps.common.settings import Settings, load
from stack.environment import ROOT, app_environment
from stack.services import load as load_services

NAMES = ("requests", "answers", "outcomes", "hdfs_root", "model")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (StackNames("cars", "used_cars"), StackNames("cars-2", "used_cars")),
        (StackNames("a", "b"), StackNames("a-b", "b")),
        (StackNames("staging", "used_cars"), StackNames("production", "used_cars")),
    ],
)
def test_two_stacks_share_no_name_and_no_prefix_that_one_grants(one, other):
    """Rights on a platform are given by prefix: none of the one may be the beginning of one of the other."""
    for name in NAMES:
        ours, theirs = getattr(one, name), getattr(other, name)
        assert ours != theirs
        prefix = f"{one.stack}." if name != "hdfs_root" else f"{ours}/"
        assert not f"{theirs}/".startswith(prefix)


def test_a_stack_of_another_dataset_has_another_model():
    """The model is what an answer names: by it a server knows whose answers it finds."""
    assert StackNames("baton", "used_cars").model != StackNames("baton", "boston_housing").model


def test_what_a_standby_rehearses_with_is_its_stacks_and_no_others():
    """Whatever a stack is called, it is not called so."""
    rehearsal = StackNames("baton", "used_cars").rehearsal

    assert rehearsal.requests.startswith("baton.")
    assert not re.fullmatch(STACK_NAME, rehearsal.stack)


@pytest.mark.parametrize("name", ["", "Cars", "a.b", "a_b", "-a", "a-", "a/b", "a b", "ä", "x" * 41, "a\n"])
def test_a_name_that_a_topic_a_folder_or_a_model_cannot_bear_is_refused(monkeypatch, name):
    """One rule for all three; the message names the variable and the way to set it."""
    monkeypatch.setenv("BATON_STACK", name)
    with pytest.raises(SettingsError, match=r"BATON_STACK must be valid .* --set stack="):
        load(Settings)


@pytest.mark.parametrize("name", ["a", "baton", "cars-2", "x" * 40])
def test_other_names_are_taken(monkeypatch, name):
    """As they stand."""
    monkeypatch.setenv("BATON_STACK", name)
    assert name == load(Settings).names.stack


def test_chart_environment_and_app_have_one_default_and_one_rule(tmp_path):
    """Nobody is told another name than the rest."""
    chart = ROOT / "charts" / "pipeline"
    schema = json.loads((chart / "values.schema.json").read_text())
    assert DEFAULT_STACK == yaml.safe_load((chart / "values.yaml").read_text())["stack"]
    assert DEFAULT_STACK == app_environment(load_services(), tmp_path, tmp_path, {})["BATON_STACK"]
    assert STACK_NAME == schema["properties"]["stack"]["pattern"]
    assert re.match(STACK_NAME, DEFAULT_STACK)
