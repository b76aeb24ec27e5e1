"""One writer at a time in a folder; the lock is the kernel's, so a process that is killed cannot keep it."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep every other process out of ``folder``, which is made if need be, while the block runs; raise OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            yield
        finally:  # closing is not enough when a child was forked meanwhile
            fcntl.flock(lock, fcntl.LOCK_UN)
