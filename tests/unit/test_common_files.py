"""Files and folders that are whole or absent, whatever happens while they are written."""

import errno
import hashlib
import os

import pytest

from apps.common.files import empty_folder, keep_newest, publish_folder, remove_folder, sha256, whole_file, write_whole


class PowerCut(Exception):
    """The writer ends half-way."""


def write_half(path):
    """Begin to replace a file."""
    with whole_file(path) as unfinished:
        unfinished.write_text("ne")
        raise PowerCut


def fill_half(folder):
    """Begin to fill a folder."""
    with publish_folder(folder) as unfinished:
        (unfinished / "half").touch()
        raise PowerCut


def test_a_file_is_replaced_as_a_whole_or_not_at_all(tmp_path):
    """
    A writer that dies half-way leaves the old content, and the next one is not hindered by what it left.
    """
    path = tmp_path / "deep" / "file.json"
    write_whole(path, "old")

    with pytest.raises(PowerCut):
        write_half(path)
    after_the_cut = path.read_text()
    write_whole(path, "new \u00fc")

    assert ("old", "new \u00fc".encode()) == (after_the_cut, path.read_bytes())
    assert [path] == list(path.parent.iterdir())


def test_a_folder_appears_when_it_is_filled(tmp_path):
    """
    What a killed writer left is no part of the folder that the next one makes.
    """
    target = tmp_path / "folder"

    with pytest.raises(PowerCut):
        fill_half(target)
    after_the_cut = target.exists()
    with publish_folder(target) as unfinished:
        (unfinished / "whole").touch()
        before_the_end = target.exists()

    assert (False, False) == (after_the_cut, before_the_end)
    assert ["whole"] == [path.name for path in target.iterdir()]


def test_a_file_is_hashed_by_its_content(tmp_path):
    """
    The sum is the one that sha256sum prints.
    """
    (tmp_path / "file").write_bytes(b"a,b\n" * 1_000_000)

    assert hashlib.sha256(b"a,b\n" * 1_000_000).hexdigest() == sha256(tmp_path / "file")


def test_a_folder_is_removed_or_the_first_thing_that_stays_is_named(tmp_path, monkeypatch):
    """
    A folder that is not there is as good as removed; what another user left is an error with its whole path.
    """
    (tmp_path / "state" / "kafka").mkdir(parents=True)
    kept = tmp_path / "state" / "kafka" / "log"
    kept.touch()
    with monkeypatch.context() as system:
        system.setattr(os, "unlink", refuse)
        with pytest.raises(PermissionError) as refused:
            remove_folder(tmp_path / "state")
    assert str(kept) == str(refused.value.filename)

    for _ in range(2):
        remove_folder(tmp_path / "state")
    assert not (tmp_path / "state").exists()


def refuse(path, **_):
    """What the system answers for a file in another user's folder."""
    raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))


def test_the_newest_folders_are_kept(tmp_path):
    """
    Those that come last by name stay, and so does every file.
    """
    for number in range(5):
        (tmp_path / f"2026010{number}-120000").mkdir()
    (tmp_path / "1-file").touch()

    keep_newest(tmp_path, 2)

    assert ["1-file", "20260103-120000", "20260104-120000"] == sorted(path.name for path in tmp_path.iterdir())


def test_nothing_is_removed_while_there_are_few(tmp_path):
    """
    Fewer folders than may be kept stay, and a place that was never used stays away.
    """
    (tmp_path / "20260101-120000").mkdir()

    keep_newest(tmp_path, 2)
    keep_newest(tmp_path / "none", 2)

    assert ["20260101-120000"] == [path.name for path in tmp_path.iterdir()]


def test_a_folder_is_emptied_or_made(tmp_path):
    """
    Whoever starts in it finds nothing of whoever was there before.
    """
    (tmp_path / "old" / "deep").mkdir(parents=True)
    (tmp_path / "old" / "deep" / "file").touch()
    for name in ("old", "new"):
        empty_folder(tmp_path / name)
        assert [] == list((tmp_path / name).iterdir())
