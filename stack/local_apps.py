"""Apps run by hand as processes of this machine, what they log being kept."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from apps.common.errors import BatonError
from apps.common.hdfs import Hdfs
from stack.environment import ROOT

TAIL_LINES = 15


class LocalApps:
    """Runs ``python -m apps.<app>`` here, not where the person stands: Python would take files there for modules."""

    def __init__(self, environment: Mapping[str, str], logs: Path) -> None:
        """``environment`` is an app's; what it logs is added to ``logs``."""
        self.environment = dict(environment)
        self.logs = logs

    def run(self, app: str, settings: Mapping[str, str]) -> str:
        """Run an app to its end; return what it printed; raise BatonError with its last lines."""
        name = app.replace("_", "-")
        command = [sys.executable, "-m", f"apps.{app}"]
        self.logs.mkdir(parents=True, exist_ok=True)
        with (self.logs / f"{name.replace('.', '-')}.log").open("ab") as log:
            done = subprocess.run(
                command, cwd=ROOT, env={**self.environment, **settings}, capture_output=True, check=False
            )
            log.write(done.stderr)
        return finish(name, done.returncode, done.stdout, done.stderr)

    def tick(self, watcher: str) -> None:
        """One tick of a watcher."""
        self.run(watcher.replace("-", "_"), {"BATON_TICK_S": "0"})

    def bring(self, file: Path) -> str:
        """A file of this machine is there already."""
        return str(file.resolve())

    def files(self) -> Hdfs:
        """HDFS at the address that the apps are told."""
        return Hdfs(self.environment["BATON_HDFS"])


def finish(name: str, code: int, printed: bytes, logged: bytes) -> str:
    """What an app printed; raise BatonError with its last lines when it did not end well."""
    if code:
        tail = "\n".join(logged.decode(errors="replace").strip().splitlines()[-TAIL_LINES:])
        raise BatonError(f"{name} ended with exit code {code}:\n{tail}")
    return printed.decode()
