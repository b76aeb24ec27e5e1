"""``python -m stack.embedded.supervisor <state>``: one supervisor for a state folder, until a signal ends it."""

import os
import signal
import sys
from pathlib import Path

from apps.common.errors import BatonError
from apps.common.files import alone
from stack.embedded.supervisor.loop import Supervisor
from stack.embedded.supervisor.state import SupervisorRecords


class Stopping:
    """Whether a signal asked for the end."""

    def __init__(self) -> None:
        """From now on SIGTERM and SIGINT are caught."""
        self.asked_to_end = False
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._end)

    def _end(self, *_: object) -> None:
        self.asked_to_end = True


def main() -> int:
    """Run until a signal asks for the end."""
    state = Path(sys.argv[1]).resolve()
    stopping = Stopping()
    refusal = BatonError(f"one supervisor must run for {state}; got a second; it ends")
    with alone(SupervisorRecords(state).folder / "lock", refusal):
        Supervisor(state).run(lambda: stopping.asked_to_end)
    return 0


if __name__ == "__main__":
    code = main()
    sys.stderr.flush()
    os._exit(code)  # a thread of the pool may still wait for a probe's answer; nothing is left to be written
