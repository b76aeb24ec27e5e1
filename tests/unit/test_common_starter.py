"""A program that ends with its standard input, and one that does not."""

import signal
import subprocess
import sys

from apps.common.starter import let_end


def started(program):
    """A program of Python's whose standard input is ours."""
    return subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE)


def test_a_program_that_ends_with_its_standard_input_is_let_end():
    """It comes to its own end, whatever it still has to do."""
    process = started("import sys; sys.stdin.read(); sys.exit(7)")

    let_end(process, 60)

    assert process.returncode == 7


def test_a_program_that_runs_on_is_killed():
    """Whoever started it waits no longer than was said."""
    process = started("import time; time.sleep(600)")

    let_end(process, 0.2)

    assert process.returncode == -signal.SIGKILL
