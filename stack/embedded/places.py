"""Whether the folders in which Baton lives have names, and lie on disks, that every part of the stack can work with."""

import os
import sys
from pathlib import Path

from stack import cache
from stack.environment import ROOT
from stack.preflight import Check

# Lists of folders are split at : (by Python and Java) and at , (by Spark); Hadoop hands its folder to a shell between
# two '; Spark's readers take the rest for patterns.
UNUSABLE = ":,'\\*?[]{}"
UNUSABLE_BEYOND_LINUX = "%"  # a DataNode takes it for a pattern of Java's; Linux has another name for its folder
LINUX = sys.platform == "linux"
NOEXEC = getattr(os, "ST_NOEXEC", 0)  # macOS does not tell


def unusable(path: Path, *, linux: bool = LINUX) -> str:
    """The characters of a path that some part of the stack cannot work with; hidden ones as escapes."""
    never = UNUSABLE if linux else UNUSABLE + UNUSABLE_BEYOND_LINUX
    found = dict.fromkeys(char for char in str(path) if char in never or not char.isprintable())
    return " ".join(char if char.isprintable() else repr(char).strip("'") for char in found)


def existing(path: Path) -> Path:
    """The path, or the nearest folder above it that is there."""
    return next(place for place in (path, *path.parents) if place.exists())


def check(state: Path) -> list[Check]:
    """The names of the folders, and whether code may be run from that of the state."""
    return [_names(state), _mount(existing(state.resolve()))]


def _names(state: Path) -> Check:
    places = [ROOT, state.resolve(), cache.place()]
    bad = next((place for place in places if unusable(place)), None)
    rule = f"checkout and cache must lie in paths without {' '.join(UNUSABLE)} and hidden characters"
    got = f"{unusable(bad)} in {bad}" if bad else str(ROOT)
    return Check(rule, bad is None, got, "move the checkout, or set BATON_CACHE_DIR to another folder")


def _mount(place: Path) -> Check:
    """Kafka and Spark unpack the code of their codecs there, and load it."""
    forbidden = bool(os.statvfs(place).f_flag & NOEXEC)
    got = f"{place} on a file system that is mounted noexec" if forbidden else str(place)
    return Check("code must be allowed to run from the state", not forbidden, got, "move the checkout to another disk")
