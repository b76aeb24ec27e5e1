"""Tables and texts on narrow terminals, in pipes, and with markup in them."""

import re
from collections import Counter

import pytest
from rich.table import Table

from stack.cli import console
from stack.cli.console import PlainConsole

TITLE = "A title that is longer than the table is wide"
LONG = "hdfs://127.0.0.1:18020 and a remedy of many words: install it, or edit kafka.ports.broker in stack/stack.yaml"


@pytest.fixture
def printed(monkeypatch, capsys):
    """What ``show`` prints of a table with a long title and cell, on a terminal of some columns or into a pipe."""

    def show(columns=None):
        terminal = None if columns is None else True
        monkeypatch.setattr(console, "out", PlainConsole(width=columns, force_terminal=terminal, no_color=True))
        table = Table("check", "got", "what to do", box=None, title=TITLE, title_justify="left")
        table.add_row("port 19092 (kafka broker) must be free", "process 4711", LONG)
        console.show(table)
        return re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out)

    return show


def test_a_narrow_terminal_folds_and_loses_nothing(printed):
    """On 40 columns no line is longer, and every character of the table is there."""
    narrow, wide = printed(40), printed(400)

    assert max(map(len, narrow.splitlines())) <= 40
    assert Counter("".join(wide.split())) == Counter("".join(narrow.split()))


def test_a_pipe_gets_one_line_per_row(printed):
    """A program that reads the table finds its title, its head and each row on one line, whatever the width."""
    text = printed()

    assert 3 == len(text.splitlines())
    assert all(line == line.rstrip() for line in text.splitlines())
    assert LONG in text
