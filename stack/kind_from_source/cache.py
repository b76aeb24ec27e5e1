"""
Where the made things lie: one folder, each thing named by what it was made of, and in it only once it is whole.

A thing is made under ``.unfinished-*`` and renamed to its name at the end, so that a run that fails or is killed
leaves nothing that the next run could take for done; the next run sweeps what a killed one left.
"""

import fcntl
import hashlib
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from apps.common.errors import Unavailable
from apps.common.settings import Settings, load

UNFINISHED = ".unfinished-"


class CacheSettings(Settings):
    """Where what is slow to make is kept (``BATON_CACHE``)."""

    cache: Path = Path("~/.cache/baton")


def root() -> Path:
    """The cache's folder."""
    folder = load(CacheSettings).cache.expanduser().absolute()
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
    """A folder on the cache's own disk that is gone when the block ends."""
    folder = Path(tempfile.mkdtemp(prefix=UNFINISHED, dir=root()))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def publish(target: Path) -> Iterator[Path]:
    """A folder to fill, which becomes ``target`` in one rename when the block ends without an error."""
    with scratch() as folder:
        filling = folder / "whole"
        filling.mkdir()
        yield filling
        target.parent.mkdir(parents=True, exist_ok=True)
        filling.rename(target)


@contextmanager
def exclusive() -> Iterator[None]:
    """Hold the cache alone; sweep first what a killed run left. Raises Unavailable when another run holds it."""
    with (root() / "airgap.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            message = f"the cache must be filled by one run at a time; got a second on {root()}; wait for the first"
            raise Unavailable(message) from error
        for left in root().glob(f"{UNFINISHED}*"):
            shutil.rmtree(left, ignore_errors=True)
        yield
