"""How the suites are run: one where it is seen, the others beside it."""

import sys

import pytest

from stack.cli import checks

BEGUN = "import pathlib, sys, time; pathlib.Path(sys.argv[1]).touch(); "
MEETS = (
    BEGUN
    + """
until = time.monotonic() + 20
while not pathlib.Path(sys.argv[2]).exists():
    time.sleep(0.01)
    assert time.monotonic() < until, "the other one has not begun"
print("met", sys.argv[2])
"""
)


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Runs two programs as the suites are run; returns the exit code."""
    monkeypatch.setattr(checks, "FAILURES", tmp_path / "failures")
    places = str(tmp_path / "one"), str(tmp_path / "two")

    def both(first, last):
        commands = {
            "first": [sys.executable, "-c", first, *places],
            "last": [sys.executable, "-c", last, *reversed(places)],
        }
        return checks._run_beside(commands)  # noqa: SLF001 - the commands are a test's own

    return both


def test_two_suites_run_beside_each_other(run, capfd):
    """Each waits until the other has begun; what the one beside said is shown too."""
    assert 0 == run(MEETS, MEETS)
    assert 2 == capfd.readouterr().out.count("met")


@pytest.mark.parametrize("failing", ["first", "last", "first last"])
def test_whichever_fails_fails_the_run(run, capfd, failing):
    """Both come to their end, and every one that failed is named."""
    codes = {name: f"raise SystemExit('{name} says why')" for name in failing.split()}

    assert 1 == run(codes.get("first", BEGUN), codes.get("last", BEGUN))
    said = "".join(capfd.readouterr())
    assert all(f"{name} says why" in said for name in failing.split())
    failed = said.split("failed: ")[1].split("\n")[0]
    assert set(failing.split()) == set(failed.split(", "))
