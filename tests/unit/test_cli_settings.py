"""The list of settings is the apps' own, and --set takes what the apps take."""

import ast
import importlib
import json
import pkgutil
import re

import pytest
import typer.testing
from annotated_types import Ge, Gt, Le, Lt

import apps
from apps.common.errors import SettingsError
from apps.common.settings import Settings, Unit, load, setter
from apps.orchestrator.embedded import EmbeddedOrchestrator
from apps.orchestrator.port import Release, ReleaseState
from apps.trainer.settings import TrainerSettings
from stack.cli import settings_page, status
from stack.cli.commands import app
from stack.cli.console import show
from stack.cli.settings import OWN, catalogue, choose, differences, models, parse, unused
from stack.cli.stack import Stack, _say, retry_failed_release
from stack.environment import ROOT
from tests.toys import toy
from tests.unit.texts import DOCUMENTS, messages, modules

FREE = {setting.name for setting in catalogue() if not setting.set_by}
KNOWN = {setting.name for setting in catalogue()}
FIELDS = [(name, field) for model in models().values() for name, field in model.model_fields.items()]


def run(*arguments):
    """What a command prints."""
    done = typer.testing.CliRunner().invoke(app, [*arguments], catch_exceptions=False, env={"COLUMNS": "200"})
    assert done.exit_code == 0
    return done.output


def subclasses(kind):
    """Every class below ``kind``."""
    return {below for one in kind.__subclasses__() for below in (one, *subclasses(one))}


@pytest.mark.parametrize(("name", "field"), FIELDS, ids=[name for name, _ in FIELDS])
def test_each_setting_says_what_it_means_and_each_number_in_which_unit(name, field):
    """
    A field has a description, and a number has a unit.
    """
    assert (field.description or "").endswith(".")
    if field.annotation in (int, float):
        assert [mark.name for mark in field.metadata if isinstance(mark, Unit)]


@pytest.mark.parametrize(("name", "field"), FIELDS, ids=[name for name, _ in FIELDS])
def test_each_number_that_a_person_sets_has_two_ends(name, field):
    """
    A number that no batch could be made or trained with is refused at the door, however it is mistyped.
    """
    if field.annotation in (int, float) and not setter(field):
        marks = {type(mark) for mark in field.metadata}
        assert marks & {Ge, Gt}
        assert marks & {Le, Lt}


def test_no_app_has_settings_that_are_not_listed():
    """
    Every settings model of apps/ is one of the list, or what such a one is made of.
    """
    for module in pkgutil.walk_packages(apps.__path__, "apps."):
        if module.name.endswith((".settings", ".topics")):
            importlib.import_module(module.name)
    listed = tuple(models().values())
    known = {model for model in subclasses(Settings) if model.__module__.startswith("apps.")}

    assert known >= {model for model in listed if model.__module__.startswith("apps.")}
    assert [] == [model for model in known if not any(issubclass(one, model) for one in listed)]


def test_a_name_is_either_free_everywhere_or_nowhere():
    """
    One variable reaches every app, so a name that the stack needs for one app cannot be set for another.
    """
    assert not FREE & {setting.name for setting in catalogue() if setting.set_by}


def test_apps_that_share_a_name_but_no_meaning_are_named():
    """
    The seed is two settings, of the dropper and of the trainer, and each names the other.
    """
    assert {("batch-dropper",): ("trainer",), ("trainer",): ("batch-dropper",)} == {
        setting.apps: setting.also for setting in catalogue() if setting.name == "seed"
    }


def test_the_page_is_rendered_from_the_models():
    """
    docs/settings.md is what the models say now; python -m stack.cli.settings_page > docs/settings.md writes it.
    """
    assert settings_page.page() + "\n" == (ROOT / "docs" / "settings.md").read_text()


def test_a_person_sees_name_default_unit_and_meaning_and_what_is_set(tmp_path, monkeypatch):
    """
    The list shows what the stack of this checkout was told beside each default, for people and for programs.
    """
    monkeypatch.setattr(Stack, "settings", {"BATON_TREES": "41"})

    table = run("settings", "trainer")
    trees = next(row for row in json.loads(run("settings", "trainer", "--json")) if row["name"] == "trees")

    assert re.search(r"trees +41 +240 +trees +How many trees", table)
    assert "batch_grace_s" not in table
    assert ("BATON_TREES", "240", "trees", "41") == tuple(trees[key] for key in ("variable", "default", "unit", "set"))


def test_an_app_that_is_not_there_is_refused_with_those_that_are():
    """
    A typing error shows the names.
    """
    with pytest.raises(SettingsError, match=r"app must be one of batch-dropper, .*; got trainr; "):
        choose("trainr")


def test_set_becomes_the_apps_variables():
    """
    A value may have an equals sign, and may be empty where the app takes that.
    """
    assert {"BATON_TREES": "40", "BATON_JAVA_OPTIONS": "-Da=b"} == parse(["trees=40", "java_options=-Da=b"])
    assert {"BATON_JAVA_OPTIONS": ""} == parse(["java_options="])
    assert {} == parse([])


def test_a_file_is_meant_from_the_folder_that_the_person_is_in(tmp_path, monkeypatch):
    """
    The apps run in another folder, and are told the whole path.
    """
    (tmp_path / "ca.pem").touch()
    monkeypatch.chdir(tmp_path)

    assert {"BATON_KAFKA_CA": f"{tmp_path}/ca.pem"} == parse(["kafka_ca=ca.pem"])


@pytest.mark.parametrize(
    ("pair", "words"),
    [
        ("tree=40", "--set must name a setting; got tree; did you mean trees"),
        ("BATON_TREES=40", "did you mean trees"),
        ("trees", "--set must be NAME=VALUE; got 'trees'"),
        ("hdfs=hdfs://elsewhere", "got hdfs; it comes from the ports in stack/stack.yaml"),
        ("kafka=elsewhere", "BATON_KAFKA must be valid (String should match pattern"),
        ("kafka_ca=/nowhere.pem", "BATON_KAFKA_CA must be valid (Path does not point to a file); got '/nowhere.pem'"),
        ("scratch=/tmp", "got scratch; it comes from the stack itself"),
        ("ready_file=/tmp/x", "got ready_file; it comes from the stack itself"),
        ("source=a.csv", "got source; it comes from --source"),
        ("trees=many", "BATON_TREES must be valid (Input should be a valid integer"),
        (
            "tree_leaves=10001",
            "BATON_TREE_LEAVES must be valid (Input should be less than or equal to 10000); got '10001'",
        ),
        ("log_format=xml", "BATON_LOG_FORMAT must be valid (Input should be 'console' or 'json'); got 'xml'"),
        ("heap=lots", "BATON_HEAP must be valid"),
        ("drift=nan", "BATON_DRIFT must be valid (Input should be a finite number); got 'nan'"),
        ("ridge=inf", "BATON_RIDGE must be valid (Input should be a finite number); got 'inf'"),
        ("stall_s=inf", "(Input should be a finite number); got 'inf'"),
        ("trees=99999999999", "(Input should be less than or equal to 10000); got '99999999999'"),
    ],
)
def test_set_refuses_what_no_app_would_take(pair, words):
    """
    An unknown name, one that is not a person's to set, or a value that the model refuses ends before anything starts.
    """
    with pytest.raises(SettingsError) as refused:
        parse([pair])

    assert words in str(refused.value)


def test_set_tells_all_problems_together():
    """
    Whoever mistypes three settings learns it once.
    """
    with pytest.raises(SettingsError) as refused:
        parse(["tree=1", "trees=0", "state=/x", "seed=1", "seed=2", "seed=1"])

    assert ["tree;", "state;", "seed must be given once", "BATON_TREES"] == [
        re.search(r"tree;|state;|seed must be given once|BATON_TREES", line)[0]
        for line in str(refused.value).splitlines()
    ]


def test_a_value_is_refused_at_the_door_in_the_apps_own_words(monkeypatch):
    """
    The sentence of --set is the one that the app says of its variable, and it says how to set it either way.
    """
    with pytest.raises(SettingsError) as at_the_door:
        parse(["trees=0"])
    monkeypatch.setenv("BATON_TREES", "0")
    monkeypatch.setenv("BATON_BATCH", "b")
    with pytest.raises(SettingsError) as in_the_app:
        load(TrainerSettings)

    assert str(at_the_door.value) == str(in_the_app.value)
    assert str(at_the_door.value).endswith("./baton up --set trees=VALUE (BATON_TREES for an app run by hand)")


def test_what_the_shell_holds_does_not_change_what_set_takes(monkeypatch):
    """
    A variable of the shell is neither a problem of --set nor a value of it.
    """
    monkeypatch.setenv("BATON_TREES", "many")

    assert {"BATON_FOLDS": "4"} == parse(["folds=4"])


def test_other_settings_are_told_in_the_words_of_the_options():
    """
    What was set and is not any more goes back to its default, and a file to none.
    """
    before = {"BATON_DATASET": "used_cars", "BATON_SOURCE": "/a.csv", "BATON_TREES": "40"}
    after = {"BATON_DATASET": "used_cars", "BATON_SLICES": "1"}

    told = differences(before, after)

    assert ["source none instead of /a.csv", "trees 240 instead of 40", "slices 1 instead of 0"] == told


def test_a_running_stack_keeps_its_settings_and_says_which_differ(tmp_path, monkeypatch):
    """
    Another ``up`` with other settings is refused in a person's words, with the command that comes first.
    """
    stack = Stack("settings-test")
    stack.state = tmp_path
    stack._settings_file = tmp_path / "settings.json"  # noqa: SLF001 - a state folder of the test's own
    stack._settings_file.write_text(json.dumps({"BATON_DATASET": "used_cars", "BATON_TREES": "40"}))  # noqa: SLF001
    monkeypatch.setattr(Stack, "running", lambda _: True)

    with pytest.raises(
        Exception, match=r"must keep its settings; got trees 240 instead of 40; first run ./baton down$"
    ):
        stack.up("used_cars", None)


def test_a_release_that_failed_is_tried_again_with_other_settings(tmp_path):
    """
    A new release of the failed version is asked for; one that did not fail is left alone.
    """
    orchestrator = EmbeddedOrchestrator(tmp_path)
    orchestrator.roll_out(toy("1"))
    retry_failed_release(orchestrator)
    assert Release(1, toy("1"), ReleaseState.STARTING) == orchestrator.wanted_release()

    orchestrator.mark_release(orchestrator.wanted_release(), ReleaseState.FAILED)
    retry_failed_release(orchestrator)

    assert Release(2, toy("1"), ReleaseState.STARTING) == orchestrator.wanted_release()


def test_a_line_about_the_shell_is_said_once(capsys):
    """
    A command that asks several times whether variables do nothing says so once.
    """
    for _ in range(3):
        _say("BATON_X [/red] of the shell is not used")

    assert "BATON_X [/red] of the shell is not used\n" == capsys.readouterr().err


def test_status_shows_what_was_set(capsys):
    """
    Settings are a line of their own, whatever characters they have.
    """
    found = {"services": [], "problems": [], "serving": None, "wanted": None, "set": {"trees": "40", "heap": "[/x]"}}

    for part in status.tables(found):
        show(part)

    assert "set: trees=40, heap=[/x]\n" in capsys.readouterr().out


def test_a_variable_of_the_shell_that_does_nothing_is_mentioned_with_what_would():
    """
    A setting comes with its option, the rest with the list; what ./baton takes or env printed is passed over.
    """
    shell = {
        "BATON_TREES": "40",
        "BATON_HEAP": "1 g",
        "BATON_HDFS": "hdfs://mine",
        "BATON_STATE": "/state",
        **dict.fromkeys(OWN, "x"),
    }

    assert [
        "BATON_TREES, BATON_HEAP of the shell are not used; ./baton up --set trees=40 --set 'heap=1 g' sets them",
        "BATON_HDFS of the shell is not used; ./baton settings says what can be set, and what sets the rest",
    ] == unused(shell, [{"BATON_STATE": "/state"}])
    assert ["BATON_TREES of the shell is not used; ./baton up --set trees=40 sets it"] == unused(
        {"BATON_TREES": "40"}, []
    )


def test_a_schedule_that_says_no_time_is_refused_at_the_door_with_all_that_is_wrong():
    """
    Its text and its zone, each with what it must be, beside what is wrong with other settings; none is a schedule too.
    """
    with pytest.raises(SettingsError) as caught:
        parse(["schedule=61 2 * * *", "schedule_zone=Berlin", "trees=0"])
    trees, text, zone = sorted(str(caught.value).splitlines(), key=lambda line: ("TREES" not in line, "ZONE" in line))

    assert "BATON_TREES must be valid" in trees
    assert re.match(r"BATON_SCHEDULE must be valid .*five fields.*Bad minute.*; got '61 2 \* \* \*'; set it by", text)
    assert re.match(r"BATON_SCHEDULE_ZONE must be valid .*as UTC or Europe/Berlin.*; got 'Berlin'; set it by", zone)
    good = ["schedule=0 2 * * MON-FRI", "schedule_zone=Europe/Berlin"]
    assert {"BATON_SCHEDULE": "0 2 * * MON-FRI", "BATON_SCHEDULE_ZONE": "Europe/Berlin"} == parse(good)
    assert {"BATON_SCHEDULE": ""} == parse(["schedule="])


def recommended():
    """Each setting that a message or a document tells people to set, and where."""
    for file, tree in modules():
        for node in ast.walk(tree):
            match node:
                case ast.Call(func=ast.Name(id="option"), args=[ast.Constant(value=str(name)), *_]):
                    yield name, file
        for text in messages(tree):
            yield from ((name, file) for name in re.findall(r"--set '?([a-z_]+)=", text))
    for file in DOCUMENTS:
        if file.name != "production.md":  # its --set is helm's
            yield from ((name, file) for name in re.findall(r"--set '?([a-z_]+)=", file.read_text()))


def test_each_setting_that_a_message_or_document_recommends_can_be_set():
    """
    Whatever follows --set in a text, ./baton up takes.
    """
    found = list(recommended())

    assert {"slices", "spark_master", "batch_grace_s", "trees"} <= {name for name, _ in found}
    assert [] == [(name, str(file)) for name, file in found if name not in FREE]


def test_a_message_that_names_a_variable_names_a_setting_and_advises_none():
    """
    A variable may be what a message is about; setting it is advised by ``option`` alone, which names both ways.
    """
    named = [
        (match, text)
        for _, tree in modules()
        for text in messages(tree)
        if " " in text and "\n" not in text  # a longer text is a document
        for match in re.finditer(r"BATON_([A-Z_]*[A-Z])", text)
        if match[0] not in OWN
    ]

    assert named
    assert [] == [text for match, text in named if match[1].lower() not in KNOWN]
    assert [] == [text for match, text in named if match.start() or not text.startswith(f"{match[0]} must ")]
