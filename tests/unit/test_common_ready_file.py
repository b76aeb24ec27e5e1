"""The file by which a server says that it is ready."""

import threading

import pytest

from apps.common.ready_file import ReadyFile, beating, heartbeat
from apps.common.waiting import wait_until


def test_what_a_server_writes_is_read_by_whoever_started_it(tmp_path):
    """
    Release, version and state come back as they were written, in a folder that was not there.
    """
    ready = ReadyFile(3, "7", "serving")
    ready.write(tmp_path / "deep" / "ready.json")

    assert ready == ReadyFile.read(tmp_path / "deep" / "ready.json")


@pytest.mark.parametrize("content", [None, "", "{", "[]", "{}", '{"release": "three"}'])
def test_what_cannot_be_read_says_nothing(tmp_path, content):
    """
    A server whose file is absent, broken or another's is not ready.
    """
    if content is not None:
        (tmp_path / "ready.json").write_text(content)

    assert ReadyFile.read(tmp_path / "ready.json") is None


def beats():
    """Whether a thread gives signs of life."""
    return "heartbeat" in {thread.name for thread in threading.enumerate()}


def test_a_server_that_starts_gives_signs_of_life(tmp_path):
    """
    Until its start is over, and one that hangs for a while only.
    """
    ready = tmp_path / "ready.json"
    with beating(ready):
        wait_until(heartbeat(ready).exists, 10, "no sign of life")
        assert beats()
    wait_until(lambda: not beats(), 10, "it goes on after its start")

    with beating(ready, at_most=0):
        wait_until(lambda: not beats(), 10, "it goes on though it hangs")
