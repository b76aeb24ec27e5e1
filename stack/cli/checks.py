"""``check`` and ``test``: the same commands for a person, the pre-commit hook and CI."""

import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from tempfile import TemporaryFile

from stack.cli.console import err, step
from stack.cli.stack import Mode
from stack.environment import ROOT
from stack.logs import worst_line

FAILURES = ROOT / ".baton" / "failures"
# As modules: the first line of a program in .venv/bin is the place where it was made.
MODULE = [sys.executable, "-m"]

CHECKS = {
    "format": [*MODULE, "ruff", "format", "--check", "."],
    "lint": [*MODULE, "ruff", "check", "."],
    "types": [*MODULE, "mypy"],
    "imports": [sys.executable, "-c", "from importlinter.cli import lint_imports_command; lint_imports_command()"],
    "unit tests": [*MODULE, "pytest", "tests/unit", "-n", "auto", "--dist", "loadfile"],
}
SLOWEST = ["--durations=15", "--durations-min=30"]  # where a suite's minutes go
PLATFORM = "tests/adapters/test_runtime.py"  # on the ports of stack.yaml, as the end-to-end stack is
SUITES = {
    "adapters": [*MODULE, "pytest", "tests/adapters", "--ignore", PLATFORM, *SLOWEST],
    "end to end": [*MODULE, "pytest", "tests/e2e", *SLOWEST],
}

CLUSTER_SUITES = {
    "charts": [*MODULE, "pytest", "tests/charts"],
    "end to end": [*MODULE, "pytest", "tests/e2e", "--mode", "cluster", "-W", "default", *SLOWEST],
    "Tiltfile": [*MODULE, "pytest", "tests/tilt", "-rs"],
}


def _run_all(commands: dict[str, list[str]]) -> int:
    shutil.rmtree(FAILURES, ignore_errors=True)
    failed = [name for name, command in commands.items() if not _passes(name, command)]
    return _told(failed)


def _run_beside(commands: dict[str, list[str]]) -> int:
    """The last suite where it is seen, the others beside it: each waits for a JVM or a watcher most of its time."""
    shutil.rmtree(FAILURES, ignore_errors=True)
    *others, (last, seen) = commands.items()
    with ExitStack() as stack:
        beside = {name: stack.enter_context(_unseen(command)) for name, command in others}
        err.print(f"{', '.join(beside)}: beside the suite that follows, and shown behind it")
        failed = [] if _passes(last, seen) else [last]
        failed += [name for name, wait in beside.items() if not _passes(name, wait)]
    return _told(failed)


def _passes(name: str, command: list[str] | Callable[[], None]) -> bool:
    try:
        with step(name):
            command() if callable(command) else subprocess.run(command, cwd=ROOT, check=True)
    except subprocess.CalledProcessError:
        return False
    return True


@contextmanager
def _unseen(command: list[str]) -> Iterator[Callable[[], None]]:
    """
    Run a command beside the block; what is yielded waits for its end, shows what it said, and raises if it fails.

    In a session of its own: a Ctrl-C reaches it once, from here, and what it has started is ended when this returns.
    """
    with (
        TemporaryFile() as said,
        subprocess.Popen(command, cwd=ROOT, stdout=said, stderr=subprocess.STDOUT, start_new_session=True) as process,
    ):

        def wait() -> None:
            code = process.wait()
            said.seek(0)
            print(said.read().decode(errors="replace"), flush=True)
            if code:
                raise subprocess.CalledProcessError(code, command)

        try:
            yield wait
        except BaseException:
            process.send_signal(signal.SIGINT)
            process.wait()
            raise


def _told(failed: list[str]) -> int:
    if failed:
        _show_evidence()
        err.print(f"failed: {', '.join(failed)}")
    return 1 if failed else 0


def _show_evidence() -> None:
    """Where the logs of the failed tests are, and the line of each that tells most."""
    for test in sorted(FAILURES.glob("*")):
        err.print(f"logs of {test.name}: {test}")
        for log in sorted(test.rglob("*.log")):
            err.print(f"  {log.relative_to(test)}: {worst_line(log)}")


def check() -> int:
    """Run every check, all of them even when one fails; return the exit code."""
    return _run_all(CHECKS)


def test(mode: Mode, *, long: bool) -> int:
    """
    Run the suites that start real services, in embedded mode after the checks; return the exit code.

    ``long`` adds the tests that take minutes of their own.
    """
    suites = CLUSTER_SUITES if mode is Mode.CLUSTER else SUITES
    if long:
        suites = {name: [*command, "--long"] for name, command in suites.items()}
    if mode is Mode.CLUSTER:
        return _run_all(suites)
    return _run_all({**CHECKS, "platform": [*MODULE, "pytest", PLATFORM]}) or _run_beside(suites)


def test_faults(mode: Mode) -> int:
    """Play every fault in full on a stack of its own; return the exit code."""
    suites = CLUSTER_SUITES if mode is Mode.CLUSTER else SUITES
    return _run_all({"faults": [*suites["end to end"], "--faults", "-m", "faults or table"]})


def soak(mode: Mode, minutes: float, seed: int) -> int:
    """Play faults at random on a stack of its own; return the exit code."""
    suites = CLUSTER_SUITES if mode is Mode.CLUSTER else SUITES
    soaked = [*suites["end to end"], "--soak", f"{minutes:g}", "--seed", str(seed), "-k", "soak", "--timeout", "0"]
    return _run_all({f"soak of seed {seed}": soaked})
