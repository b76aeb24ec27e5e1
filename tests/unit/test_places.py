"""Folders that a part of the stack cannot work with are refused before anything starts."""

import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from stack.embedded import doctor, places


@pytest.mark.parametrize("name", ["my bätön 100%", 'say "hi"', "$HOME", "#1 & more", "東京", "a;(b)=@+!~^`"])
def test_what_people_call_their_folders_is_fine(name):
    """Blanks, accents, a %, a double quote, a $, a # or an & are no reason to refuse."""
    assert places.unusable(Path("/home") / name / "baton", linux=True) == ""


@pytest.mark.parametrize(
    ("name", "named"),
    [
        ("a:b", ":"),
        ("a,b", ","),
        ("it's", "'"),
        ("a\\b", "\\"),
        ("[work]", "[ ]"),
        ("{x}*?", "{ } * ?"),
        ("a\nb", "\\n"),
        ("caf\udce9", "\\udce9"),
    ],
)
def test_what_cannot_work_is_named(name, named):
    """Each character is named once, a hidden one by its escape; a name that is not UTF-8 is one of those."""
    assert named == places.unusable(Path("/home") / name / name)


def test_a_percent_sign_works_on_linux_only():
    """Elsewhere a DataNode knows its folder by its whole path alone."""
    assert ("", "%") == tuple(places.unusable(Path("/home/100%"), linux=linux) for linux in (True, False))


def test_doctor_says_what_to_do_about_a_folder(tmp_path):
    """One sentence with the rule, the characters, the folder and the way out."""
    told = [str(one) for one in doctor.check(tmp_path / "it's" / "state") if not one.ok]

    assert any(
        f"without : , ' \\ * ? [ ] {{ }} and hidden characters; got ' in {tmp_path}/it's/state; move" in one
        for one in told
    )


def test_a_disk_that_forbids_to_run_code_is_refused(tmp_path, monkeypatch):
    """Libraries are unpacked into the state and loaded; the file system says whether that is allowed."""
    flags = os.statvfs(tmp_path).f_flag
    named = "code must be allowed to run from the state"

    def refused(flags):
        monkeypatch.setattr(os, "statvfs", lambda _: SimpleNamespace(f_flag=flags))
        return [one.got for one in places.check(tmp_path) if one.name == named and not one.ok]

    assert refused(flags | places.NOEXEC) == [f"{tmp_path} on a file system that is mounted noexec"] * bool(
        places.NOEXEC
    )
    assert refused(flags & ~places.NOEXEC) == []
