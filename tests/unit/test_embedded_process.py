"""How a process is known again."""

import os
import subprocess
import sys

import psutil
import pytest

from stack.embedded import process
from stack.embedded.process import Identity

ME = psutil.Process(os.getpid())


@pytest.fixture
def odd_one(tmp_path):
    """A process whose name holds what separates the fields behind it."""
    program = tmp_path / "x) R 1 (y"
    program.symlink_to(sys.executable)
    child = subprocess.Popen([program, "-c", "import time; time.sleep(600)"])
    yield child
    child.kill()
    child.wait()


def test_a_process_is_known_again_and_a_later_one_of_its_number_is_not(odd_one):
    """By its number and by when it was started; one that has ended is nobody."""
    known = Identity.of(psutil.Process(odd_one.pid))

    assert odd_one.pid == known.process().pid
    assert Identity.of(ME).created < known.created
    assert None is Identity(odd_one.pid, known.created + 1).process()
    assert None is Identity(os.getpid(), known.created).process()

    odd_one.kill()
    odd_one.wait()

    assert None is known.process()
    with pytest.raises(psutil.NoSuchProcess):
        Identity.of(psutil.Process(odd_one.pid))


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the system keeps the moment itself")
def test_a_clock_that_is_set_makes_no_stranger_of_a_process(monkeypatch):
    """What the time of day says of a start is another moment after it; the kernel's own count is the same."""
    before = Identity.of(ME)
    real = psutil.Process.create_time
    monkeypatch.setattr(psutil.Process, "create_time", lambda self: real(self) + 3600)

    assert before == Identity.of(psutil.Process(os.getpid()))
    assert before.process() is not None


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the system keeps the moment itself")
def test_a_process_of_another_boot_is_a_stranger(monkeypatch, tmp_path):
    """After a restart the same number may be started after the same while."""
    before = Identity.of(ME)
    (tmp_path / "boot_id").write_text("0" * 36)
    monkeypatch.setattr(process, "BOOT", tmp_path / "boot_id")

    assert None is before.process()
