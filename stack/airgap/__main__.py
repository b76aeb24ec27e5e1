"""``python -m stack.airgap``: make what a cluster needs, with a line for each step."""

import signal
import sys
from types import FrameType

from apps.common.errors import BatonError
from stack import airgap, console

INTERRUPTED = 130


def _stop(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def main() -> int:
    """Run the steps; return the exit code."""
    signal.signal(signal.SIGTERM, _stop)
    try:
        airgap.run(console.step)
    except BatonError as error:
        console.err.print(str(error), markup=False)
        return 1
    except KeyboardInterrupt:
        console.err.print("interrupted; run it again to go on")
        return INTERRUPTED
    return 0


if __name__ == "__main__":
    sys.exit(main())
