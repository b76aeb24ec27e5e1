"""``python -m stack.cli``: the CLI; an error that a person can mend is one clear message, and Ctrl-C ends cleanly."""

import sys

from apps.common.errors import BatonError
from stack.cli import os_errors
from stack.cli.commands import app
from stack.cli.console import err
from stack.environment import clean_own_process

INTERRUPTED = 130


def main() -> int:
    """Run the CLI; return its exit code."""
    try:
        clean_own_process()
        app(prog_name="./baton")
    except BatonError as error:
        return _refuse(str(error))
    except OSError as error:
        if sentence := os_errors.explain(error):
            return _refuse(sentence)
        raise
    except KeyboardInterrupt:
        err.print("interrupted")
        return INTERRUPTED
    return 0


def _refuse(sentence: str) -> int:
    err.print("[red]error:[/] ", end="")
    err.print(sentence, markup=False)
    return 1


if __name__ == "__main__":
    sys.exit(main())
