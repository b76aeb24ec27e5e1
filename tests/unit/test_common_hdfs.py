"""What is told of an error of HDFS, and of an HDFS that tells nothing."""

import socket
import threading

import pytest

from apps.common.errors import Unavailable
from apps.common.hdfs import ABANDONED, Hdfs, first_line

VERBS = {
    "listing": lambda files: files.listing("/a"),
    "exists": lambda files: files.exists("/a"),
    "read": lambda files: files.read("/a"),
    "upload": lambda files: files.upload("/a", [b"a"]),
    "rename": lambda files: files.rename("/a", "/b"),
    "make_folder": lambda files: files.make_folder("/a"),
    "delete": lambda files: files.delete("/a"),
}


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("No lease\n\tat org.apache.X(Y.java:1)", "No lease"),
        (
            'RPCError("org.apache.X$SafeModeException", "In safe mode.\\nMore\\n\\tat org")',
            "X$SafeModeException: In safe mode.",
        ),
        ('RPCError("org.apache.Denied", "No right")', "Denied: No right"),
        ("Connection refused (os error 111)", "Connection refused (os error 111)"),
    ],
)
def test_an_error_of_hdfs_is_told_without_its_stack_trace(text, line):
    """
    A log line is one line, and says what happened.
    """
    assert line == first_line(RuntimeError(text))


@pytest.fixture
def silent():
    """What takes connections and answers none, as a NameNode does that hangs."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"hdfs://127.0.0.1:{server.getsockname()[1]}"


@pytest.mark.timeout(20)
@pytest.mark.parametrize("verb", VERBS.values(), ids=VERBS)
def test_an_hdfs_that_hangs_is_not_waited_for(silent, verb):
    """
    A watcher or trainer that waited with it would hang too, and say nothing.
    """
    with pytest.raises(Unavailable, match=r"HDFS must answer at .* within 0.2 s; it does not; is the stack up\?"):
        verb(Hdfs(silent, answer_s=0.2))


@pytest.mark.timeout(20)
def test_verbs_that_hang_do_not_pile_up(silent):
    """
    Each keeps threads and connections; the next ones are refused at once, until some have returned.
    """
    files, before = Hdfs(silent, answer_s=0.2), threading.active_count()
    for _ in range(20):
        with pytest.raises(Unavailable, match=r"within 0\.2 s"):
            files.exists("/a")

    assert threading.active_count() - before <= ABANDONED
