"""Which Baton this is, and on which Python and Java it runs."""

import platform
import re
import subprocess
import sys
import tomllib

from apps.common.errors import BatonError
from stack.environment import ROOT
from stack.java import java

ANSWER_S = 20


def versions() -> dict[str, str]:
    """What a report of a fault must name; a part that cannot be found out says why."""
    return {
        "baton": str(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]),
        "commit": _commit(),
        "python": f"{platform.python_version()} at {sys.executable}",
        "java": _java(),
        "system": f"{platform.system()} {platform.release()}, {platform.machine()}",
    }


def line() -> str:
    """What ``--version`` prints."""
    known = versions()
    commit = f" ({known['commit']})" if known["commit"] else ""
    return f"baton {known['baton']}{commit}, Python {known['python'].split()[0]}, Java {known['java'].split()[0]}"


def _commit() -> str:
    """The commit of the checkout, with a + when files differ from it; "" when there is no git or no repository."""
    if not (ROOT / ".git").exists():
        return ""
    described = ["git", "-C", str(ROOT), "describe", "--always", "--dirty=+", "--exclude=*"]
    try:
        done = subprocess.run(described, capture_output=True, text=True, timeout=ANSWER_S, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()


def _java() -> str:
    try:
        done = subprocess.run([java(), "-version"], capture_output=True, text=True, timeout=ANSWER_S, check=True)
        version = re.findall(r'"([^"]+)"', done.stderr)[0]
    except (BatonError, OSError, subprocess.SubprocessError, IndexError) as error:
        return f"none ({error})"
    return f"{version} at {java()}"
