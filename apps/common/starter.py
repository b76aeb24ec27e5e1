"""A program that must not outlive the one that started it, however that one dies: it ends with its standard input."""

import os
import subprocess
import threading
from collections.abc import Callable
from contextlib import suppress


def when_gone(act: Callable[[], None]) -> None:
    """Call ``act``, in a thread, when standard input ends: the kernel closes it with the program at its other end."""

    def wait() -> None:
        with suppress(OSError):
            while os.read(0, 1):  # what that program writes is nobody's
                pass
        act()

    threading.Thread(target=wait, daemon=True).start()


def let_end(process: subprocess.Popen[bytes], seconds: float) -> None:
    """End the standard input of such a program, and kill it when it still runs after ``seconds``."""
    if process.stdin:
        process.stdin.close()
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
