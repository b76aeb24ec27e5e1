"""``python -m stack.cli``: the CLI; an error is one clear message; Ctrl-C, a closed terminal or pipe end it well."""

import os
import sys
import traceback
from pathlib import Path

from apps.common.errors import BatonError
from stack.cli import interruption, os_errors
from stack.cli.commands import app
from stack.cli.console import err
from stack.environment import clean_own_process, debugging

INTERRUPTED = 130
PIPE_CLOSED = 141  # as a program that the signal SIGPIPE ended


def main() -> int:
    """Run the CLI; return its exit code."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by the shell
            setattr(sys, name, Path(os.devnull).open("w"))  # noqa: SIM115 - until this process ends
    return _flushed(_run())


def _run() -> int:
    try:
        interruption.catch()
        app(prog_name="./baton", obj=clean_own_process())
    except SystemExit as ended:  # how typer ends; a Ctrl-C has no words of its own there
        if ended.code == INTERRUPTED:
            err.print("interrupted")
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BatonError as error:
        return _refuse(str(error))
    except KeyboardInterrupt:
        err.print("interrupted")
        return INTERRUPTED
    except BrokenPipeError:
        return PIPE_CLOSED
    except Exception as error:  # noqa: BLE001 - the edge: a fault of Baton's own is told in one sentence too
        sentence = os_errors.explain(error) if isinstance(error, OSError) else None
        return _refuse(sentence) if sentence else _unexpected(error)
    return 0


def _refuse(sentence: str) -> int:
    err.print("error: ", style="red", end="")
    err.print(sentence)
    return 1


def _flushed(code: int) -> int:
    """``code``, once what was printed is gone; a reader that closed its pipe early is no error worth a word."""
    try:
        sys.stdout.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes again when it ends
        if isinstance(error, BrokenPipeError):
            return PIPE_CLOSED
        return code or _refuse(os_errors.explain(error) or f"standard output must take what is printed; got {error}")
    return code


def _unexpected(error: Exception) -> int:
    """Say that it is Baton's fault, and how to report it; the traceback is kept for the bundle."""
    from stack.cli import bundle  # noqa: PLC0415 - needed only here

    bundle.keep_error(error)
    if debugging():
        traceback.print_exception(error)
    _refuse(
        f"this is a fault of Baton: {type(error).__name__}: {error}\nPlease report it with the file that this writes:"
    )
    err.print("  ./baton bundle")
    return 1


if __name__ == "__main__":
    sys.exit(main())
