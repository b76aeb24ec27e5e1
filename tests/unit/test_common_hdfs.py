"""What is told of an error of HDFS."""

import pytest

from apps.common.hdfs import first_line


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
