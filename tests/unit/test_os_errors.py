"""What the operating system refuses is told as a sentence that ends with what mends it."""

import errno
import os

import pytest

from stack.cli.os_errors import explain
from stack.environment import ROOT


def refusal(number, path=None):
    """The error that the system raises."""
    return OSError(number, os.strerror(number), *([str(path)] if path else []))


def test_a_strange_folder_is_named_with_its_owner_and_never_taken_over(tmp_path, monkeypatch):
    """
    Outside of Baton's own folders (a report into /etc, a source in /root) the advice is another place, and no chown.
    """
    me = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: me + 1)
    (tmp_path / "a folder").mkdir()

    told = explain(refusal(errno.EACCES, tmp_path / "a folder" / "new" / "file"))

    assert told is not None
    assert told.startswith(f"{tmp_path}/a folder/new/file must be open to you; got {tmp_path}/a folder of ")
    assert told.endswith("; choose another place")
    assert "chown" not in told


def test_in_the_state_the_whole_of_it_is_to_be_handed_over(monkeypatch):
    """
    Whatever file of .baton or .venv is hit first, the command mends all of the folder at once.
    """
    me = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: me + 1)

    told = explain(refusal(errno.EACCES, ROOT / ".venv" / "bin" / "python"))

    assert told is not None
    assert told.startswith(f"{ROOT}/.venv must be yours; got {ROOT}/.venv/bin/python of ")
    assert told.endswith(f"; run sudo chown -R {me + 1} {ROOT}/.venv")


def test_ones_own_closed_folder_is_opened(tmp_path):
    """
    A folder that is one's own needs other rights, and no other owner.
    """
    told = explain(refusal(errno.EACCES, tmp_path / "file"))

    assert told is not None
    assert told.endswith(f"got {tmp_path}, which is yours and closed; run chmod u+rwX {tmp_path}")


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "the disk must have room"),
        (errno.EDQUOT, "the disk must have room"),
        (errno.EROFS, "can be written"),
        (errno.EMFILE, "ulimit -n"),
    ],
)
def test_a_machine_without_room_says_so(tmp_path, number, words):
    """
    A full disk, a quota, a read-only disk and too few open files are the machine's, not the program's.
    """
    assert words in str(explain(refusal(number, tmp_path)))


def test_a_write_to_a_full_disk_names_no_file():
    """
    The system does not always say which file it was; the sentence stands without.
    """
    assert "the disk must have room" in str(explain(refusal(errno.ENOSPC)))


@pytest.mark.parametrize("error", [refusal(errno.ENOENT, "/x"), ConnectionResetError(), OSError("anything")])
def test_every_other_error_stays_what_it_is(error):
    """
    What is no refusal of the machine is a fault in the program and must be seen whole.
    """
    assert None is explain(error)
