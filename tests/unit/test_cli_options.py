"""Which mode a command means: --mode, then BATON_MODE, then the stack that is here; never a guess."""

import pytest
import typer

from apps.common.errors import SettingsError
from stack.cli.options import choose_mode, rates
from stack.cli.stack import Mode

EMBEDDED, CLUSTER = Mode.EMBEDDED, Mode.CLUSTER


@pytest.mark.parametrize(
    ("given", "kept", "mode", "announced"),
    [
        (None, [], EMBEDDED, False),
        (None, [EMBEDDED], EMBEDDED, False),
        (None, [CLUSTER], CLUSTER, True),
        (EMBEDDED, [CLUSTER], EMBEDDED, False),
        (CLUSTER, [EMBEDDED, CLUSTER], CLUSTER, False),
    ],
)
def test_a_given_mode_wins_over_the_stack_that_is_here(given, kept, mode, announced):
    """What is given is taken; else the only stack of the checkout decides, and is announced when not the default."""
    chosen, why = choose_mode(given, kept)

    assert mode is chosen
    assert announced is bool(why)


def test_two_stacks_and_no_choice_are_refused():
    """With stacks of both modes nothing is guessed: the error names both ways to say which."""
    with pytest.raises(SettingsError, match="embedded and cluster mode, and no choice; add --mode, or set BATON_MODE"):
        choose_mode(None, [EMBEDDED, CLUSTER])


def test_the_commands_take_the_mode_in_that_order(checkout):
    """The real command: the kept stack decides and is announced, BATON_MODE wins over it, --mode over both."""
    checkout.keep("cluster")
    kept = checkout.run("env")
    variable = checkout.run("env", BATON_MODE="embedded")
    option = checkout.run("env", "--mode", "embedded", BATON_MODE="cluster")
    checkout.keep("embedded")
    both = checkout.run("env")

    assert "/.baton/cluster\n" in kept[1]
    assert "cluster mode: this checkout's stack runs so" in kept[2]
    assert "/.baton/embedded\n" in variable[1]
    assert ("/.baton/embedded\n" in option[1], option[2]) == (True, "")
    assert 1 == both[0]
    assert "the mode must be given" in both[2]


def test_a_start_that_left_nothing_running_is_not_remembered(checkout):
    """An up that fails before anything runs leaves no stack here: the next command does not take its mode."""
    failed = checkout.run("up", "--mode", "cluster", DOCKER_HOST="unix:///nonexistent")
    after = checkout.run("env")

    assert 1 == failed[0]
    assert "Docker" in failed[2]
    assert "/.baton/embedded\n" in after[1]


def test_the_shell_of_env_still_takes_the_mode_of_the_stack_that_is_here(checkout):
    """``eval "$(./baton env)"`` says no mode but that of a cluster, whose commands say so: no later one is misled."""
    embedded = checkout.run("env", "--mode", "embedded")
    cluster = checkout.run("env", "--mode", "cluster")

    assert "export BATON_MODE" not in embedded[1]
    assert "export BATON_MODE=cluster\n" in cluster[1]


@pytest.mark.parametrize(
    ("line", "code", "words"),
    [
        (["logs", "-n", "-5"], 2, "greater than or equal to 0"),
        (["logs", "/etc/passwd"], 1, "service must be one with a log; got '/etc/passwd'"),
        (["bench", "serve", "--rate", "abc"], 2, "--rate must be numbers from 0.1 to 5000; got 'abc'"),
        (["bundle", "/nonexistent/x.tar.gz"], 1, "got /nonexistent/x.tar.gz: No such file or directory"),
        (["bundle", "."], 1, "got .: Is a directory; choose another"),
    ],
)
def test_a_slip_of_the_pen_is_no_fault_of_baton(checkout, line, code, words):
    """What cannot be meant is refused with the rule, before anything starts."""
    (checkout.keep("embedded") / "logs").mkdir()
    (checkout.root / ".baton" / "embedded" / "logs" / "kafka.log").touch()
    got, _, err = checkout.run(*line, COLUMNS="300")

    assert (code, True) == (got, words in err.replace("\n", " ")), err


def test_each_of_several_rates_must_be_one_that_traffic_takes():
    """The rates of ``bench serve`` have the limits of ``traffic --rate``."""
    assert [100.0, 0.5] == rates("100,0.5")
    for text in ("", "100,", "100,-1", "nan", "5001"):
        with pytest.raises(typer.BadParameter, match=f"; got '{text}'; as 100,1000"):
            rates(text)
