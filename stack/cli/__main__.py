"""``python -m stack.cli``: the CLI; every error that is ours is one clear message, and Ctrl-C ends cleanly."""

import sys

from apps.common.errors import BatonError
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
        err.print("[red]error:[/] ", end="")
        err.print(str(error), markup=False)
        return 1
    except KeyboardInterrupt:
        err.print("interrupted")
        return INTERRUPTED
    return 0


if __name__ == "__main__":
    sys.exit(main())
