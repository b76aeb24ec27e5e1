"""The commands of ./baton as a person meets them: groups, options, and words for what does not exist."""

import pytest
from typer.main import get_group
from typer.testing import CliRunner

from stack.cli.commands import app
from stack.cli.help import CLUSTER, DEVELOP, LOOK, RUN, WORK

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


@pytest.mark.parametrize("group", [(), ("bench",), ("cluster",)])
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
    """--json takes no value in any command; it means: print JSON to stdout."""
    options = {
        name: option for name, command in commands().items() for option in command.params if "--json" in option.opts
    }
    expected = ["demo", "up", "status", "open", "wait", "drop", "traffic", "logs", "doctor", "bundle"]

    assert {*expected, "bench up", "bench serve"} <= set(options)
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
