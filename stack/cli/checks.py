"""``check`` and ``test``: the same commands for a person, the pre-commit hook and CI."""

import shutil
import subprocess
import sys

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
    "unit tests": [*MODULE, "pytest", "tests/unit"],
}
SUITES = {
    "adapters": [*MODULE, "pytest", "tests/adapters"],
    "end to end": [*MODULE, "pytest", "tests/e2e"],
}

CLUSTER_SUITES = {
    "charts": [*MODULE, "pytest", "tests/charts"],
    "end to end": [*MODULE, "pytest", "tests/e2e", "--mode", "cluster", "-W", "default"],
    "Tiltfile": [*MODULE, "pytest", "tests/tilt", "-rs"],
}


def _run_all(commands: dict[str, list[str]]) -> int:
    shutil.rmtree(FAILURES, ignore_errors=True)
    failed = []
    for name, command in commands.items():
        try:
            with step(name):
                subprocess.run(command, cwd=ROOT, check=True)
        except subprocess.CalledProcessError:
            failed.append(name)
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
    return _run_all(suites) if mode is Mode.CLUSTER else check() or _run_all(suites)


def test_faults(mode: Mode) -> int:
    """Play every fault in full on a stack of its own; return the exit code."""
    suites = CLUSTER_SUITES if mode is Mode.CLUSTER else SUITES
    return _run_all({"faults": [*suites["end to end"], "--faults", "-m", "faults or table"]})


def soak(mode: Mode, minutes: float, seed: int) -> int:
    """Play faults at random on a stack of its own; return the exit code."""
    suites = CLUSTER_SUITES if mode is Mode.CLUSTER else SUITES
    soaked = [*suites["end to end"], "--soak", f"{minutes:g}", "--seed", str(seed), "-k", "soak", "--timeout", "0"]
    return _run_all({f"soak of seed {seed}": soaked})
