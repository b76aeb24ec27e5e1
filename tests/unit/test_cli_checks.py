"""How the suites are run: one where it is seen, the others beside it."""

import sys

import pytest

from apps.common.waiting import wait_until
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


SWEEPS = """
import pathlib, sys, time
try:
    pathlib.Path(sys.argv[1]).touch()
    time.sleep(20)
except KeyboardInterrupt:
    time.sleep(1)
    pathlib.Path(sys.argv[1]).write_text("swept")
"""


def test_ctrl_c_returns_when_the_suite_beside_has_swept_up(run, tmp_path, monkeypatch):
    """It ends what it has started first, and nothing interrupts it in that."""

    def interrupted(*_):
        wait_until((tmp_path / "one").exists, 20, "the suite beside has not begun")
        raise KeyboardInterrupt

    monkeypatch.setattr(checks, "_passes", interrupted)

    with pytest.raises(KeyboardInterrupt):
        run(SWEEPS, BEGUN)
    assert "swept" == (tmp_path / "one").read_text()
