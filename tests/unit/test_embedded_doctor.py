"""What this machine lacks for the embedded stack."""

import os
import socket
import subprocess
import sys

import psutil
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


def test_where_the_system_tells_nobody_who_listens_the_own_ports_are_known_all_the_same(monkeypatch):
    """
    On macOS only root may ask who listens, and everybody what their own processes do.
    """

    def denied(_):
        raise psutil.AccessDenied

    monkeypatch.setattr(psutil, "net_connections", denied)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]

        assert {port: os.getpid()} == doctor._holders({port}, {os.getpid(): psutil.Process()})  # noqa: SLF001
        assert {port: 0} == doctor._holders({port}, {})  # noqa: SLF001
