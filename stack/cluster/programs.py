"""kind, helm and kubectl: those that ``./baton cluster from-source`` made, of pinned versions, or those on the path."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from apps.common.errors import SettingsError, Unavailable
from stack import cache
from stack.environment import for_program

PATIENCE_S = 600
TAIL_LINES = 12


def made_folder() -> Path:
    """Where ``./baton cluster from-source`` leaves kind, helm and kubectl."""
    return cache.root() / "bin"


def path_entries() -> list[str]:
    """The folders that a shell must have at the head of its path to find the programs that Baton uses."""
    return [str(made_folder())] if made_folder().is_dir() else []


def find(name: str) -> Path:
    """Where a program is; raises SettingsError that says how to get it."""
    if program := shutil.which(name, path=environment(name)["PATH"]):
        return Path(program)
    raise SettingsError(
        f"{name} must be on the path; got none; install it, or have it made: ./baton cluster from-source"
    )


def run(name: str, *arguments: str | Path, timeout: float = PATIENCE_S) -> str:
    """Run a program to its end; return what it printed; raise Unavailable with the last lines of a failure."""
    done = attempt(name, *arguments, timeout=timeout)
    if done.returncode:
        said = (done.stderr or done.stdout).decode(errors="replace").strip().splitlines()[-TAIL_LINES:]
        told = " ".join(map(str, arguments))
        raise Unavailable(f"{name} {told[:120]} must end with 0; got {done.returncode}:\n" + "\n".join(said))
    return done.stdout.decode(errors="replace")


def lines(name: str, *arguments: str | Path) -> Iterator[str]:
    """What a program prints, line by line while it runs; it ends with its reader."""
    command = [find(name), *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment(name)) as process:
        assert process.stdout is not None  # noqa: S101 - asked for as a pipe
        try:
            yield from (line.rstrip("\n") for line in process.stdout)
        finally:
            process.terminate()


@contextmanager
def piped(name: str, *arguments: str | Path) -> Iterator[tuple[IO[bytes], IO[bytes]]]:
    """
    A program while it runs, as a file to write to and one to read from; the first is closed when the block ends.

    Raises Unavailable with the last lines of a failure.
    """
    with tempfile.TemporaryFile() as errors:
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": errors}
        process = subprocess.Popen([find(name), *arguments], env=environment(name), **pipes)  # type: ignore[call-overload]
        try:
            with suppress(BrokenPipeError):  # its exit code tells why
                yield process.stdin, process.stdout
            with suppress(BrokenPipeError):
                process.stdin.close()
            code = process.wait()
        finally:
            process.kill()
            process.wait()
            process.stdout.close()
        if code:
            errors.seek(0)
            tail = errors.read().decode(errors="replace").strip().splitlines()[-TAIL_LINES:]
            raise Unavailable(f"{name} {arguments[0]} must end with 0; got {code}:\n" + "\n".join(tail))


def attempt(
    name: str, *arguments: str | Path, stdin: IO[bytes] | None = None, timeout: float = PATIENCE_S
) -> subprocess.CompletedProcess[bytes]:
    """
    Run a program to its end, whatever comes of it; raises Unavailable when it takes longer than ``timeout`` seconds.

    It reads the file ``stdin`` itself, however large that is.
    """
    command: Sequence[str | Path] = [find(name), *arguments]
    try:
        return subprocess.run(
            command,
            stdin=stdin or subprocess.DEVNULL,
            capture_output=True,
            timeout=timeout,
            env=environment(name),
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise Unavailable(f"{name} {arguments[0]} must end within {timeout:g} s; it did not; try again") from error


def environment(name: str) -> dict[str, str]:
    """The environment of such a program: our own first on its path, and kind works on Docker, as we do."""
    given = for_program(name)
    path = os.pathsep.join([*path_entries(), given["PATH"]])
    return {**given, "PATH": path, "KIND_EXPERIMENTAL_PROVIDER": "docker"}
