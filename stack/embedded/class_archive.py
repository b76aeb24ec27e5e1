"""
Where the prediction server's archive of classes is in the cache, and what makes it when nothing else is to be done.

It is named by all that Java compares before it takes one, so that another Java, other jars or a moved checkout have
another.
"""

import importlib.util
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from structlog.stdlib import BoundLogger

from apps.common.errors import BatonError
from apps.common.exit_codes import DONE
from apps.common.settings import variable
from apps.common.waiting import wait_until
from stack import cache
from stack.embedded.process import PROC, Child
from stack.embedded.services.spec import StackContext
from stack.environment import ROOT, inherited
from stack.java import jars, java
from stack.logs import last_lines

NAME = "class-archive"
MODULE = "apps.prediction_server.class_archive"
VARIABLE = variable("class_archive")
CONNECTOR = "spark-kafka"
KEPT = 3  # archives: one of each checkout that made its own last; a quarter of a GiB each
DEADLINE_S = 900  # it takes one or two minutes, and more on a busy machine
QUIET_S = 10  # what was just brought up is mostly given its first batch at once
PATIENT_S = 600  # it would slow down whatever else the machine does: traffic, a demonstration, somebody's build
IDLE = 0.5  # processes that want to run, for each processor: below it the machine has nothing else to do
LAST = "19"  # the lowest priority; a session has one of its own, which counts for more than a process's in it
SHOWN_LINES = 3


def place() -> Path:
    """The file in the cache, whether it is there or not."""
    own = cache.fingerprint(str(ROOT))
    return cache.root() / "class-archives" / f"{own}-{cache.fingerprint(*_made_of())}" / "spark.jsa"


def told() -> dict[str, str]:
    """What an app is told of it."""
    return {VARIABLE: str(place())}


def is_there(archive: Path) -> bool:
    """Whether it is, and whole: its size is written beside it last."""
    size = archive.with_name(f"{archive.name}.size")
    return archive.exists() and size.exists() and size.read_text() == str(archive.stat().st_size)


def make_now() -> None:
    """Make it and wait, where it is not there; raise BatonError with what its maker said when that fails."""
    archive = place()

    def made() -> bool:
        if is_there(archive):
            return True
        with suppress(subprocess.TimeoutExpired):
            maker = subprocess.run(
                _command(archive),
                cwd=ROOT,
                env=inherited(),
                check=False,
                capture_output=True,
                text=True,
                timeout=DEADLINE_S,
            )
            if maker.returncode != DONE:
                raise BatonError(" ".join(maker.stderr.splitlines()[-SHOWN_LINES:]))
        return is_there(archive)  # it is not, and all is well, while another process makes it

    wait_until(made, DEADLINE_S, f"the servers' archive of classes must be made; got no {archive}", every=2)


def _command(archive: Path) -> list[str]:
    return [sys.executable, "-m", MODULE, str(jars(CONNECTOR)), str(archive)]


def _made_of() -> Iterator[str]:
    home = Path(java()).resolve().parent.parent
    yield from (_text(home / "release"), _stamp(home / "lib" / "server" / "classes.jsa"))
    yield _text(ROOT / f"{MODULE.replace('.', '/')}.py")
    pyspark = importlib.util.find_spec("pyspark")
    packages = pyspark.submodule_search_locations if pyspark else None
    for folder in [jars(CONNECTOR), *(Path(package) / "jars" for package in packages or ())]:
        yield from (_stamp(jar) for jar in sorted(folder.glob("*.jar")))


def _text(file: Path) -> str:
    return file.read_text() if file.exists() else ""


def _stamp(file: Path) -> str:
    """What Java knows a file by."""
    if not file.exists():
        return str(file)
    found = file.stat()
    return f"{file} {found.st_size} {int(found.st_mtime)}"


def _machine_is_idle() -> bool:
    return os.getloadavg()[0] < IDLE * (os.cpu_count() or 1)


class ClassArchive:
    """The process that makes it, at most once in a supervisor's life, behind everything else."""

    def __init__(
        self, context: StackContext, environment: Mapping[str, str], quiet: Callable[[], bool], log: BoundLogger
    ) -> None:
        """``environment`` is every app's; ``quiet`` says whether every service is ready, with nothing to do."""
        self.name = NAME
        self._context = context
        self._environment = environment
        self._quiet = quiet
        self._log = log
        self._archive = Path(environment[VARIABLE])
        self._child: Child | None = None
        self._busy = self._began = time.monotonic()
        self._over = False

    def advance(self, _ready: set[str]) -> None:
        """Begin when it has been quiet for a while; see to the end."""
        now = time.monotonic()
        if self._child:
            if not self._child.alive() or now - self._began > DEADLINE_S:
                self._finish(self._child)
        elif not self._quiet():
            self._busy = now
        elif not self._over and now - self._busy > (QUIET_S if _machine_is_idle() else PATIENT_S):
            self._over = is_there(self._archive)
            if not self._over:
                self._child, self._began = self._begin(), now

    def _begin(self) -> Child:
        command = ["nice", "-n", LAST, *_command(self._archive)]
        child = Child.start(command, self._context.marked(self._environment), self._context.log(NAME), ROOT)
        with suppress(OSError):  # not every system has it
            (PROC / str(child.pid) / "autogroup").write_text(LAST)
        return child

    def _finish(self, child: Child) -> None:
        child.kill()  # what it started outlives it otherwise
        self._child, self._over = None, True
        if child.exit_code != DONE:
            reason = " ".join(last_lines(self._context.log(NAME), SHOWN_LINES))
            self._log.warning("no archive of classes was made; servers start without", reason=reason)
            return
        folder = self._archive.parent
        own = folder.name.partition("-")[0]
        newest_first = sorted(folder.parent.iterdir(), key=lambda one: one.stat().st_mtime, reverse=True)
        others = [one for one in newest_first if not one.name.startswith(f"{own}-")]
        for old in [one for one in newest_first if one != folder and one not in others[: KEPT - 1]]:
            shutil.rmtree(old, ignore_errors=True)
