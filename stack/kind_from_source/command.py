"""Runs a program, keeps its output in a log, and puts the log's tail into the error when it fails."""

import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from apps.common.errors import Unavailable
from stack import cache
from stack.environment import for_program

TAIL_LINES = 15


def run(
    name: str,
    command: Sequence[str | Path],
    *,
    folder: Path | None = None,
    variables: Mapping[str, str] | None = None,
    line: Callable[[str], None] = lambda _: None,
) -> None:
    """
    Run ``command`` to its end, ``line`` being told each line it prints; the log is named ``name``.

    Raises Unavailable when it cannot start or fails. An interrupted run ends the program and all that it started.
    """
    log = cache.root() / "logs" / f"{name}.log"
    log.parent.mkdir(exist_ok=True)
    tail: list[str] = []
    process = _start(command, folder, variables or {})
    try:
        with log.open("w") as file:
            assert process.stdout is not None  # noqa: S101 - asked for as a pipe
            for text in process.stdout:
                file.write(text)
                tail = [*tail[1 - TAIL_LINES :], text.rstrip()]
                line(text.rstrip())
        code = process.wait()
    except BaseException:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise
    if code:
        shown = "\n  ".join(tail)
        message = f"{command[0]} ({name}) must end with 0; got {code}; read {log}, which ends with:\n  {shown}"
        raise Unavailable(message)


def _start(command: Sequence[str | Path], folder: Path | None, variables: Mapping[str, str]) -> "subprocess.Popen[str]":
    environment = for_program(Path(command[0]).name) | dict(variables)
    try:
        return subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
    except OSError as error:
        message = f"{command[0]} must be a program on this machine; got {error}; install it"
        raise Unavailable(message) from error


def answer(command: Sequence[str | Path]) -> str | None:
    """What ``command`` prints, stripped, or None when it fails or is not there."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    except OSError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None
