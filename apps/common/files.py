"""
Files of this machine that are whole or absent, whatever is killed meanwhile, and folders with one writer at a time.

A thing is made under another name beside its place and renamed into it: a reader never sees half of it.
"""

import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """
    A path beside ``path`` to write to; the file becomes ``path`` when the block ends without an error.

    Its content is on the disk before its name is, so that a machine that loses power leaves no empty file. The folder
    must be there, and one writer at a time be in it.
    """
    unfinished = _beside(path)
    yield unfinished
    with unfinished.open("rb") as file:
        os.fsync(file.fileno())
    unfinished.replace(path)


def write_whole(path: Path, content: str | bytes) -> None:
    """Replace a file as a whole; its folder is made if need be. One writer at a time may do so."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as unfinished:
        unfinished.write_bytes(content.encode() if isinstance(content, str) else content)


def make_private(folder: Path) -> None:
    """Make a folder that only its owner may enter; one that is there and is open gets closed."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)


@contextmanager
def publish_folder(target: Path) -> Iterator[Path]:
    """A new folder beside ``target`` to fill; it becomes ``target`` when the block ends without an error."""
    unfinished = _beside(target)
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    yield unfinished
    unfinished.rename(target)


def remove_folder(folder: Path) -> None:
    """Remove a folder, if it is there, and all in it; raise the OSError of the first thing that cannot be removed."""
    shutil.rmtree(folder, ignore_errors=True)
    if folder.exists():
        for place, _, names in os.walk(folder, topdown=False, onerror=_raise):
            for name in names:
                Path(place, name).unlink()
            Path(place).rmdir()


def _raise(error: OSError) -> None:
    raise error


def empty_folder(folder: Path) -> None:
    """Make a folder, or remove all that is in it, even where the folder itself cannot go, as a pod's volume."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)


def keep_newest(folder: Path, count: int) -> None:
    """Remove the folders in ``folder`` but for the last ``count`` by name: each is named by its time."""
    found = sorted(path for path in folder.glob("*") if path.is_dir())
    for old in found[: max(0, len(found) - count)]:
        shutil.rmtree(old, ignore_errors=True)


def sha256(path: Path) -> str:
    """The sha256 of a file's content, 64 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """
    Keep every other process out of ``folder``, which is made if need be, while the block runs; raise OSError.

    The lock is the kernel's, so a process that is killed cannot keep it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            yield
        finally:  # closing is not enough when a child was forked meanwhile
            fcntl.flock(lock, fcntl.LOCK_UN)


@contextmanager
def alone(file: Path, refusal: Exception) -> Iterator[None]:
    """
    Hold the lock ``file``, which is made if need be, while the block runs; raise ``refusal`` when another process does.

    The lock is the kernel's, so a process that is killed cannot keep it.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise refusal from error
        yield


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.tmp")
