"""What a machine has, and whose its files are."""

import os
import socket
import subprocess
from pathlib import Path

import psutil
import pytest

from stack.embedded import doctor
from stack.embedded.process import MARK
from stack.environment import HOST, ROOT, inherited
from stack.preflight import answers, free_memory
from stack.services import load

MIB = 1024**2


def group(folder, files):
    """A control group that says what ``files`` do."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(f"{text}\n")


def version_2(limit, used, cached=0):
    """The files of a group of version 2; sizes in MiB."""
    most = limit if limit == "max" else limit * MIB
    return {"memory.max": most, "memory.current": used * MIB, "memory.stat": f"anon 1\ninactive_file {cached * MIB}"}


def version_1(limit, used, cached=0):
    """The same of version 1."""
    stat = f"active_file 7\ntotal_active_file {cached * MIB}"
    return {"memory.limit_in_bytes": limit * MIB, "memory.usage_in_bytes": used * MIB, "memory.stat": stat}


@pytest.mark.parametrize(
    ("lines", "groups", "free"),
    [
        ("0::/", {"": version_2(64, 20)}, 44),
        ("0::/", {"": version_2(64, 20, cached=5)}, 49),
        ("0::/a/b", {"a": version_2(64, 60), "a/b": version_2(32, 0)}, 4),
        ("0::/a/b", {"a": version_2("max", 60), "a/b": version_2(32, 1)}, 31),
        ("5:cpu:/\n4:memory:/c\n0::/", {"memory/c": version_1(64, 20, cached=6), "memory": version_1(2**40, 0)}, 50),
        ("4:cpu,memory:/docker/1", {"memory": version_1(48, 8)}, 40),
    ],
)
def test_the_tightest_control_group_counts(tmp_path, lines, groups, free):
    """
    Of the groups above this process, in both versions, the one with least left says how much may be taken; file cache
    counts as free. In a container the path is the host's, and the mount itself is the group.
    """
    own = tmp_path / "own"
    own.write_text(f"{lines}\n")
    for name, files in groups.items():
        group(tmp_path / "groups" / name, files)

    assert free * MIB == free_memory(tmp_path / "groups", own)


def test_without_a_limit_the_machine_counts(tmp_path):
    """
    No control groups (macOS), or none with a limit: what the machine has is free.
    """
    own = tmp_path / "own"
    own.write_text("0::/\n")
    group(tmp_path / "groups", version_2("max", 1))

    for groups, told in ((tmp_path / "groups", own), (tmp_path / "none", tmp_path / "none")):
        assert free_memory(groups, told) > psutil.virtual_memory().total / 1000


def test_a_port_answers_while_somebody_listens():
    """
    A port is taken from the moment that a program listens, until it ends.
    """
    with socket.create_server((HOST, 0)) as server:
        port = server.getsockname()[1]
        assert answers(port)

    assert not answers(port)


def outcome(state, name):
    """The doctor's check whose name contains ``name``."""
    return next(check for check in doctor.check(state) if name in check.name)


def test_a_user_without_a_name_is_told(tmp_path, monkeypatch):
    """
    HDFS and Spark log in by name, so a number alone is refused, with the command that gives it a name.
    """
    assert outcome(tmp_path, "must have a name").ok

    monkeypatch.setattr(os, "geteuid", lambda: 54321)
    check = outcome(tmp_path, "must have a name")

    assert not check.ok
    assert "got user 54321, which has none; take another user, or as root: useradd --uid 54321 baton" in str(check)


def test_what_another_user_left_in_the_state_is_told(tmp_path, monkeypatch):
    """
    The first thing that is not ours and cannot be written is named, with its owner and the command.
    """
    state = tmp_path / "a state"
    (state / "kafka" / "logs").mkdir(parents=True)
    assert outcome(state, "must be yours").ok

    me = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: me + 1)
    monkeypatch.setattr(os, "access", lambda place, _: not str(place).endswith("logs"))
    check = outcome(state, "must be yours")

    assert not check.ok
    assert f"got {state}/kafka/logs, which " in str(check)
    assert str(check).endswith(f"sudo chown -R {me + 1} '{state}'")


@pytest.fixture
def port_check(tmp_path, monkeypatch):
    """What the doctor says of a port, when this process or the one of a number holds it."""

    def look(pid=None):
        port = load().service("kafka").ports["broker"]
        monkeypatch.setattr(doctor, "_holders", lambda *_: {port: os.getpid() if pid is None else pid})
        return outcome(tmp_path, f"port {port} ")

    return look


def test_of_a_strangers_process_only_the_program_is_shown(port_check):
    """
    Whoever holds a port may have a password in its command line, and what the doctor says goes into a bundle.
    """
    check = port_check()

    assert f"process {os.getpid()}, {psutil.Process().name()}" == check.got
    assert check.remedy.startswith("end that process, or edit kafka.ports.broker in ")


@pytest.mark.parametrize(
    ("checkout", "baton"), [(ROOT, "./baton"), (Path("/home/o/a copy"), "'/home/o/a copy/baton'")], ids=["own", "other"]
)
def test_a_stack_of_ours_that_holds_a_port_is_named_with_its_down(port_check, checkout, baton):
    """
    A stack of another checkout, or one that a killed demo left behind, is ended by Baton and not process by process.
    """
    state = checkout / ".baton" / "embedded-demo"
    process = subprocess.Popen(["sleep", "60"], env={**inherited(), MARK: str(state)})
    try:
        check = port_check(process.pid)
    finally:
        process.kill()
        process.wait()

    assert f"process {process.pid} of the stack in {state}" == check.got
    assert check.remedy.startswith(f"run {baton} down --mode embedded, or edit ")


def test_a_port_of_docker_is_not_told_to_be_killed(port_check, monkeypatch):
    """
    Docker's proxy, which only root sees, holds the ports of a cluster: down stops that, and no kill is advised.
    """
    unseen = port_check(0)
    monkeypatch.setattr(psutil.Process, "name", lambda _: "docker-proxy")
    seen = port_check()

    for check in (unseen, seen):
        assert check.remedy.startswith("run ./baton down --mode cluster where it is of a cluster of Baton, else end it")
    assert "a process of another user" == unseen.got
