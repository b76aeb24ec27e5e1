"""How a command ends that is interrupted, or whose reader or terminal has gone."""

import errno
import os
import pty
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from stack.cli import __main__ as cli
from stack.cli.stack import Stack
from stack.environment import ROOT, inherited

SWEEPS_UP = """
import pathlib, sys, time
from stack.cli import interruption
from stack.cli.console import step
interruption.catch()
try:
    with step("at work"):
        print("begun", flush=True)
        time.sleep(60)
finally:
    with interruption.ignored(), step("everything is ended"):
        pathlib.Path(sys.argv[1]).touch()
"""


def logged(checkout, lines):
    """A log of ``lines`` lines."""
    folder = checkout.keep("embedded") / "logs"
    folder.mkdir()
    (folder / "kafka.log").write_text("".join(f"line {number} {'x' * 200}\n" for number in range(lines)))


def test_a_reader_that_goes_early_is_no_error(checkout):
    """``./baton logs | head``: nothing on standard error, whether much or little was left to print."""
    logged(checkout, 20_000)
    for arguments in (["-n", "20000"], ["-n", "20000", "--json"], ["-n", "3"], ["-n", "3", "--json"]):
        process = checkout.start("logs", *arguments)
        process.stdout.close()
        _, err = process.communicate(timeout=60)

        assert ("", True) == (err, process.returncode != 0), arguments


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_ctrl_c_is_one_word_and_exit_code_130(checkout, number):
    """A command that follows a log ends at Ctrl-C, or as it would, with 130 and nothing but ``interrupted``."""
    logged(checkout, 1)
    process = checkout.start("logs", "-f", PYTHONUNBUFFERED="1")
    assert process.stdout.readline()
    process.send_signal(number)
    _, err = process.communicate(timeout=30)

    assert (130, "interrupted\n") == (process.returncode, err)


def test_a_closed_terminal_ends_a_command_that_then_sweeps_up(tmp_path):
    """The window is closed: what is printed from then on goes nowhere, and what ends the stack is done to its end."""
    master, terminal = pty.openpty()
    command = [sys.executable, "-c", SWEEPS_UP, str(tmp_path / "swept")]
    own = {"PYTHONPATH": str(ROOT), "PATH": os.defpath}
    process = subprocess.Popen(
        command, env=own, start_new_session=True, stdin=terminal, stdout=terminal, stderr=terminal
    )
    os.close(terminal)
    seen = bytearray()
    while b"begun" not in seen:
        seen += os.read(master, 100)
    os.close(master)
    process.send_signal(signal.SIGHUP)  # as the kernel and the shell do
    process.wait(30)

    assert (tmp_path / "swept").exists()


def test_a_command_under_nohup_outlives_its_terminal(checkout):
    """Whoever starts it with SIGHUP ignored means it."""
    logged(checkout, 1)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        process = checkout.start("logs", "-f", PYTHONUNBUFFERED="1")
    finally:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
    assert process.stdout.readline()
    process.send_signal(signal.SIGHUP)
    with (checkout.root / ".baton/embedded/logs/kafka.log").open("a") as log:
        log.write("and on\n")

    assert "and on" in process.stdout.readline()

    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)


def test_a_pipe_gets_no_codes_and_no_color_no_colours(checkout):
    """An error is red where that is wanted; a pipe gets the bare text, and NO_COLOR leaves bold and dim alone."""
    _, _, red = checkout.run("settings", "trainr", FORCE_COLOR="1")
    _, _, pipe = checkout.run("settings", "trainr")
    _, _, plain = checkout.run("settings", "trainr", FORCE_COLOR="1", NO_COLOR="1")

    assert red.startswith("\x1b[31merror: ")
    assert "\x1b" not in pipe
    assert "error: " in plain
    assert not re.search(r"\x1b\[[0-9;]*(3[0-9]|9[0-7])m", plain)


def test_in_a_pipe_a_log_has_no_codes(checkout):
    """The names beside the lines, dim on a terminal, are bare text in a pipe."""
    logged(checkout, 3)

    assert "\x1b[2m" in checkout.run("logs", FORCE_COLOR="1")[1]
    assert "\x1b" not in checkout.run("logs")[1]


def test_reset_that_removes_nothing_does_not_say_removed(tmp_path, monkeypatch, capsys):
    """What another user left in the state stays: the command fails, and names it."""

    def refuse(path, **_):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    monkeypatch.setattr("stack.cli.stack.ROOT", tmp_path)
    monkeypatch.setattr(cli, "clean_own_process", lambda: None)
    monkeypatch.setattr(sys, "argv", ["./baton", "reset", "--yes", "--mode", "embedded"])
    state = Stack().state
    (state / "kafka").mkdir(parents=True)
    (state / "kafka" / "log").touch()
    monkeypatch.setattr(os, "unlink", refuse)
    code = cli.main()
    out, err = capsys.readouterr()

    assert (1, "") == (code, out)
    assert str(state / "kafka" / "log") in err.replace("\n", "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has /dev/full")
@pytest.mark.parametrize("command", ["settings --json", "logs"])
def test_a_standard_output_that_takes_nothing_is_no_traceback(checkout, command):
    """Closed by the shell it is as if nobody looked; a full disk behind it is one sentence, as of any other file."""
    logged(checkout, 10)
    python = f"{shlex.quote(sys.executable)} -m stack.cli {command}"
    shell = {**inherited(), "PYTHONPATH": str(checkout.root)}
    room = "error: the disk must have room; got 'No space left on device'"
    for to, code, lines in ((">&-", 0, []), (">/dev/full", 1, [room])):
        line = ["sh", "-c", f"{python} {to}"]
        end = subprocess.run(line, cwd=checkout.root, env=shell, stderr=subprocess.PIPE, text=True, check=False)

        assert (code, lines) == (end.returncode, [told[: len(room)] for told in end.stderr.splitlines()])
