"""What this machine lacks for the embedded stack."""

import subprocess
import sys

import pytest

from stack.embedded import doctor
from stack.embedded.process import MARK
from stack.environment import inherited

LARGE = "x = b'x' * 2**27; print(flush=True); input()"


@pytest.mark.parametrize(("whose", "free"), [("own", "0.1 GiB"), ("another", "0.0 GiB")])
def test_what_a_stack_takes_itself_counts_as_free(tmp_path, monkeypatch, whose, free):
    """
    A second ``up`` is not refused for the memory of what the first one started; another stack's is gone.
    """
    monkeypatch.setattr(doctor, "free_memory", lambda: 0)
    env = {**inherited(), MARK: str(tmp_path / whose)}
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", LARGE], env=env, stdin=pipe, stdout=pipe, text=True) as process:
        process.stdout.readline()
        check = next(one for one in doctor.check(tmp_path / "own") if "free memory" in one.name)
        process.communicate("\n")

    assert free == check.got
