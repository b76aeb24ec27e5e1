"""The commands of ./baton as a person meets them: groups, options, and words for what does not exist."""

import re

import pytest
from typer import TyperException
from typer.main import get_group
from typer.testing import CliRunner

from loadtest.prover import options as prover
from stack.cli.commands import app
from stack.cli.help import CLUSTER, DEVELOP, LOOK, RUN, WORK
from tests.unit.texts import DOCUMENTS, SCRIPTS, modules, texts

ROOT_COMMAND = get_group(app)


def commands(group=ROOT_COMMAND, path=()):
    """Every command, those of sub-groups too, by its whole name."""
    found = {}
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            found |= commands(command, (*path, name))
        else:
            found[" ".join((*path, name))] = command
    return found


def shown(*arguments):
    """What a run prints on a terminal of 80 columns."""
    return CliRunner(env={"COLUMNS": "80", "TERMINAL_WIDTH": "80"}).invoke(app, list(arguments)).output


def test_the_help_shows_every_command_in_one_of_five_groups():
    """The first screen has the groups in the order of a person's day, and no command outside them."""
    lines = shown("--help").splitlines()
    titles = [line.removesuffix(":") for line in lines if line.endswith(":") and not line.startswith((" ", "Options"))]
    named = {line.split()[0] for line in lines if line.startswith("  ") and not line.startswith(("  -", "   "))}

    assert [RUN, WORK, LOOK, DEVELOP, CLUSTER] == titles
    assert set(ROOT_COMMAND.commands) <= named


@pytest.mark.parametrize("group", [(), ("bench",), ("cluster",), ("datasets",)])
def test_no_summary_of_a_command_is_cut(group):
    """On 80 columns each command's summary is whole."""
    assert "..." not in shown(*group, "--help").replace("[ARGS]...", "")


@pytest.mark.parametrize("name", commands())
def test_every_option_says_what_it_is(name):
    """Each option and argument has a help, and one with a default shows it."""
    for parameter in commands()[name].params:
        assert parameter.help, parameter.name
        if parameter.default not in (None, "", False) and parameter.name != "version":
            assert parameter.show_default, parameter.name


def test_json_is_a_flag_everywhere():
    """--json takes no value in any command; it means: print JSON to stdout. Only what merely acts is without."""
    options = {
        name: option for name, command in commands().items() for option in command.params if "--json" in option.opts
    }
    acts = {"down", "reset", "env", "tick", "check", "test", "soak"}
    acts |= {f"cluster {one}" for one in ("create", "images", "values", "from-source")}

    assert commands().keys() - options.keys() == acts
    assert all(option.is_flag for option in options.values())


@pytest.mark.parametrize(
    ("arguments", "nearest"), [(["stat"], "Did you mean 'status'?"), (["up", "--datset", "x"], "--dataset")]
)
def test_a_misspelt_command_or_option_is_answered_with_the_nearest(arguments, nearest):
    """What does not exist is refused with exit code 2 and what was probably meant."""
    result = CliRunner().invoke(app, arguments)

    assert 2 == result.exit_code
    assert nearest in result.output


def test_the_version_names_python_and_java():
    """--version prints one line: Baton, Python, Java."""
    result = CliRunner().invoke(app, ["--version"])

    assert 0 == result.exit_code
    assert result.output.startswith("baton 0.")
    assert "Python 3." in result.output
    assert "Java " in result.output


def refusal(words):
    """What typer's parser has against a command line; values, and words too many, are not looked at."""
    command = ROOT_COMMAND
    while words and hasattr(command, "commands") and not words[0].startswith("-"):
        if words[0] not in command.commands:
            return f"no command {words[0]}"
        command, words = command.commands[words[0]], words[1:]
    if command.name == "prove":  # whose options are the prover's own
        return ", ".join(word for word in words if word.startswith("-") and word not in prover.option_names())
    try:
        command.make_parser(command.context_class(command)).parse_args(args=words)
    except TyperException as error:
        return str(error) or type(error).__name__
    return ""


def advised(text):
    """The words behind each ``./baton`` of a text, as far as they may be of one command; X is what is filled in."""
    for part in text.split("./baton ")[1:]:
        line = re.split(r"[`;,)#\"|\n]", part.replace("{}", " X "))[0]
        words = [word.strip(".:'") for word in line.split()]
        if words and words[0] not in ("", "COMMAND", "X"):
            yield words


def test_each_command_that_a_message_or_document_names_can_be_typed():
    """Whatever follows ./baton in a text: the command is there, and has those options."""
    said = [(file, text) for file, tree in modules() for text in texts(tree)]
    said += [(file, file.read_text()) for file in [*DOCUMENTS, *SCRIPTS]]
    found = [(file, words) for file, text in said for words in advised(text)]

    assert len(found) > 150
    assert [] == [(str(file), words, why) for file, words in found if (why := refusal(words))]


@pytest.mark.parametrize(
    "wrong", ["logz", "cluster made", "drop --watch", "prove --watch", "up --set", "bench up --rate 5"]
)
def test_what_cannot_be_typed_is_seen_in_a_text(wrong):
    """A misspelt command, one of no group, an option of none or of another command, and one without its value."""
    assert [True] == [bool(refusal(words)) for words in advised(f"or run ./baton {wrong}; then wait")]


def test_each_option_that_a_document_names_is_one_of_a_command():
    """An option in backticks, without the command that takes it, is one that some command takes."""
    known = {
        name for command in [ROOT_COMMAND, *commands().values()] for option in command.params for name in option.opts
    } | prover.option_names()
    named = {name for file in DOCUMENTS for name in re.findall(r"`(--[a-z-]+)", file.read_text())}

    assert {"--json", "--wait", "--mode"} <= named <= known
