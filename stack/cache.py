"""
The cache: what is slow to download or to make, each thing named by what it was made of, in it only once it is whole.

A thing is made under ``.unfinished-*`` and renamed to its name at the end, so that a run that fails or is killed
leaves nothing that the next run could take for done; what a killed run left is swept by the next one.
"""

import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from apps.common.errors import Unavailable
from apps.common.files import alone
from apps.common.settings import Settings, load

UNFINISHED = ".unfinished-"
LOCK = "lock"


class CacheSettings(Settings):
    """Where what is slow to make is kept (``BATON_CACHE_DIR``); the launcher says so when the shell does not."""

    cache_dir: Path = Path("~/.cache/baton")


def place() -> Path:
    """Where the cache is, or would be."""
    return load(CacheSettings).cache_dir.expanduser().absolute()


def root() -> Path:
    """The cache's folder, made if need be."""
    folder = place()
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def fingerprint(*parts: str | bytes) -> str:
    """Eight hex digits that change when a part does."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "big") + data)
    return digest.hexdigest()[:8]


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder on the cache's own disk that is gone when the block ends; while it lasts nobody sweeps it."""
    folder = Path(tempfile.mkdtemp(prefix=UNFINISHED, dir=root()))
    in_use = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(in_use, fcntl.LOCK_EX)
        yield folder
    finally:
        os.close(in_use)
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def publish(target: Path) -> Iterator[Path]:
    """
    A folder to fill, which becomes ``target`` in one rename when the block ends without an error.

    Of two runs that make the same thing at once, the first one's is kept.
    """
    with scratch() as folder:
        filling = folder / "whole"
        filling.mkdir()
        yield filling
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            filling.rename(target)
        except OSError:
            if not target.is_dir():
                raise


@contextmanager
def exclusive() -> Iterator[None]:
    """Hold the cache alone; sweep first what a killed run left. Raises Unavailable when another run holds it."""
    message = f"the cache must be filled by one run at a time; got a second on {root()}; wait for the first"
    with alone(root() / LOCK, Unavailable(message)):
        for left in root().glob(f"{UNFINISHED}*"):
            _sweep(left)
        yield


def _sweep(folder: Path) -> None:
    """Remove a folder of a run that is no more."""
    with suppress(OSError):  # somebody works in it, or it is gone meanwhile
        left = os.open(folder, os.O_RDONLY)
        try:
            fcntl.flock(left, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
        finally:
            os.close(left)
