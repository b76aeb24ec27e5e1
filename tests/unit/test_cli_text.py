"""What comes from files, requests and other programs is shown as it stands, wherever a terminal shows it."""

import io

import pytest
from rich.table import Table

from apps.common.errors import BatonError
from stack.cli import __main__ as cli
from stack.cli import console
from stack.cli.console import PlainConsole, step
from stack.cli.status import tables

NASTY = "[/price] [red]x[/] [link=http://x]:car: $a^{b$ <b>"
CODES = "clear\x1b[2J \x9b1m bell\a back\b return\r"


@pytest.fixture
def shown(monkeypatch):
    """Whatever is printed, on a wide terminal."""
    written = io.StringIO()
    for name in ("out", "err"):
        monkeypatch.setattr(console, name, PlainConsole(file=written, width=300, force_terminal=True))
    return written


def snapshot(text):
    """A stack whose every name is ``text``."""
    release = {"release": 1, "version": text, "state": text}
    failure = {"outcome": text, "reason": text, "tries": 1, "crashes": 0, "retry_at": None}
    return {
        "services": [{"service": text, "state": text, "instances": [text], "restarts": 0, "error": text}],
        "serving": release,
        "wanted": {**release, **failure, "release": 2},
        "champion": text,
        "set": {"name": text},
        "versions": [{"version": text, "batch": text, "withheld": text, "alarm": text, "metrics": {"test_rmse": 1.0}}],
        "batches": {
            "used": [text],
            "unfinished": [{"batch": text, "training": text, **failure}],
            "landing": [{"batch": text, "training": text, **failure}],
            "refused": [{"batch": text, "reason": text}],
        },
        "problems": [text],
        "addresses": [],
    }


def test_status_shows_names_and_reasons_as_they_stand(shown):
    """A column called [/price] in a refused file, and whatever else a reason or a name holds, breaks no table."""
    known = snapshot(NASTY)
    for part in tables(known):
        console.out.print(part)

    assert shown.getvalue().count(NASTY) >= 18


def test_a_step_shows_its_title_and_note_as_they_stand(shown):
    """Batch names are in titles, output of programs is in notes; a step that fails too."""
    with step(f"training on {NASTY}") as line:
        line.update(NASTY)
    with pytest.raises(BatonError), step(NASTY):
        raise BatonError

    assert f"training on {NASTY}  {NASTY}" in shown.getvalue()
    assert f" {NASTY}  " in shown.getvalue().splitlines()[-1]


def test_an_error_is_shown_as_it_stands(shown, monkeypatch):
    """The text of an error quotes what was wrong."""

    def fail(**_):
        raise BatonError(f"a header must name columns; got {NASTY}; edit it")

    monkeypatch.setattr(cli, "app", fail)
    monkeypatch.setattr(cli, "clean_own_process", lambda: None)
    monkeypatch.setattr(cli, "err", console.err)

    assert cli.main() == 1
    assert f"got {NASTY}; edit it" in shown.getvalue()


def test_no_text_steers_the_terminal(shown):
    """A code that would clear the screen or colour what follows is shown by its number, in a line and in a table."""
    cells = Table("one", box=None)
    cells.add_row(CODES)
    console.out.print(CODES)
    console.out.print(cells)

    assert "\\x1b[2J \\x9b1m bell" in shown.getvalue()
    assert not {"\x1b[2J", "\x9b", "\a", "\b", "\r"} & set(shown.getvalue())
    assert "\x1b[2J" not in shown.getvalue()
