"""
What the operating system refuses, as one sentence: a folder that is another user's, a disk that is full.

Such an error may come out of any command and is no fault in it: the state, .venv or the cache was left behind by
another user (``sudo ./baton``), or the machine has no room. The sentence ends with the command that mends it.
"""

import errno
import os
import shlex
from pathlib import Path

from apps.common.errors import BatonError
from stack import cache
from stack.environment import ROOT
from stack.preflight import owner

FULL = (errno.ENOSPC, errno.EDQUOT)
DENIED = (errno.EACCES, errno.EPERM)


def explain(error: OSError) -> str | None:
    """The sentence for what a person can mend; None for every other error, which is to be shown as it is."""
    place = Path(os.fsdecode(error.filename)).absolute() if isinstance(error.filename, str | bytes) else None
    if error.errno in DENIED and place:
        return _denied(place)
    if error.errno in FULL:
        where = shlex.quote(str(_there(place or ROOT)))
        return f"the disk must have room; got {error.strerror!r} at {place or 'a file'}; make room; see df -h {where}"
    if error.errno == errno.EROFS:
        return f"{place} must be on a disk that can be written; got {error.strerror!r}; clone elsewhere"
    if error.errno == errno.EMFILE:
        return f"a process must be allowed more open files; got {error.strerror!r}; run ulimit -n 4096"
    return None


def require_writable(file: Path) -> None:
    """Raise BatonError unless ``file`` can be written; one that is not there is not there afterwards either."""
    is_new = not os.path.lexists(file)
    try:
        file.open("a").close()
    except OSError as error:
        sentence = (
            f"a file to write must be in a folder that can be written; got {file}: {error.strerror}; choose another"
        )
        raise BatonError(explain(error) or sentence) from error
    if is_new:
        file.unlink()


def _denied(place: Path) -> str:
    there, me = _there(place), os.geteuid()
    if there.stat().st_uid == me:
        return f"{place} must be open to you; got {there}, which is yours and closed; run chmod u+rwX {_quoted(there)}"
    for folder in _own():
        if there.is_relative_to(folder):
            return f"{folder} must be yours; got {there} of {owner(there)}; run sudo chown -R {me} {_quoted(folder)}"
    return f"{place} must be open to you; got {there} of {owner(there)}; choose another place"


def _own() -> tuple[Path, ...]:
    return ROOT / ".baton", ROOT / ".venv", cache.place()


def _there(place: Path) -> Path:
    """``place``, or the innermost folder above it that can be looked at."""
    for path in (place, *place.parents):
        try:
            path.stat()
        except OSError:
            continue
        return path
    return Path("/")


def _quoted(path: Path) -> str:
    return shlex.quote(str(path))
