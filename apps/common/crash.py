"""Ends this process and its JVM without ceremony: stopping is crashing, so that there is one way to stop."""

import os
import subprocess
import sys
from contextlib import suppress
from typing import NoReturn


def jvm() -> subprocess.Popen[bytes] | None:
    """The process of Spark's JVM, once there is one."""
    loaded = sys.modules.get("pyspark")
    gateway = loaded.SparkContext._gateway if loaded else None  # noqa: SLF001 - pyspark names it nowhere else
    process: subprocess.Popen[bytes] | None = getattr(gateway, "proc", None)
    return process


def crash(code: int) -> NoReturn:
    """End with this exit code."""
    _kill_jvm()
    os._exit(code)


def begin_anew(module: str) -> NoReturn:
    """
    Become a new process of ``module``, which knows nothing, under the same number.

    At once: whichever thread waits for the JVM would tell of its end as of a fault. The new process buries it.
    """
    sys.stderr.flush()
    _kill_jvm()
    os.execv(sys.executable, [sys.executable, "-m", module])  # noqa: S606 - itself


def _kill_jvm() -> None:
    if (process := jvm()) is not None:
        process.kill()


def bury() -> None:
    """Take note of a child's end, so that nothing is left of the process before."""
    with suppress(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)
