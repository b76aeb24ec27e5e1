"""What a machine must have: one thing that was looked at, in words that ``doctor`` shows and ``up`` refuses with."""

import pwd
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from stack.environment import HOST

GIB = 1024**3
CONTROL_GROUPS = Path("/sys/fs/cgroup")
OWN_GROUPS = Path("/proc/self/cgroup")
# Where version 2 and version 1 write a group's limit and use in bytes, and in memory.stat what is file cache.
VERSION_2 = ("memory.max", "memory.current", ("active_file", "inactive_file"))
VERSION_1 = ("memory.limit_in_bytes", "memory.usage_in_bytes", ("total_active_file", "total_inactive_file"))


@dataclass(frozen=True)
class Check:
    """One thing that was looked at."""

    name: str
    ok: bool
    got: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.name}; got {self.got}; {self.remedy}"


def answers(port: int) -> bool:
    """Whether somebody listens on a port of this machine."""
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) == 0


def owner(place: Path) -> str:
    """Whose a file or folder is: a name, or the number of a user who has none."""
    number = place.lstat().st_uid
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"user {number}"


def free_memory(groups: Path = CONTROL_GROUPS, own: Path = OWN_GROUPS) -> int:
    """
    How many bytes this process and what it starts may still take, file cache counting as free.

    That is the least of what the machine has and what each control group above this process leaves: a container and
    a systemd scope are such groups, and the kernel ends what goes beyond them. ``groups`` is where they are mounted,
    ``own`` the file that says which are ours.
    """
    return min([psutil.virtual_memory().available, *_left_in_groups(groups, own)])


def _left_in_groups(groups: Path, own: Path) -> Iterator[int]:
    lines = own.read_text().splitlines() if own.exists() else []  # macOS has none
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and "memory" not in controllers.split(","):
            continue
        mount, files = (groups / "memory", VERSION_1) if controllers else (groups, VERSION_2)
        # In a container the path may be the host's, of which only the mount itself is there.
        folder = mount / path.lstrip("/")
        for group in (folder, *folder.parents):
            if group.is_relative_to(mount):
                yield from _left(group, *files)


def _left(group: Path, limit: str, used: str, cached: tuple[str, ...]) -> Iterator[int]:
    try:
        most, now = (group / limit).read_text().strip(), int((group / used).read_text())
        rows = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
    except (OSError, ValueError):  # no such group, or the root of version 2, which has no limit
        return
    if most != "max":
        yield int(most) - now + sum(int(rows.get(name, 0)) for name in cached)
