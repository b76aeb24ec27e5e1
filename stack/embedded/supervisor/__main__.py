"""``python -m stack.embedded.supervisor <state>``: one supervisor for a state folder, until a signal ends it."""

import fcntl
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from apps.common.errors import BatonError
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


@contextmanager
def _alone(state: Path) -> Iterator[None]:
    """Keep every other supervisor of the same state out; the kernel frees the lock however this one ends."""
    folder = SupervisorRecords(state).folder
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BatonError(f"one supervisor must run for {state}; got a second; it ends") from error
        yield


def main() -> int:
    """Run until a signal asks for the end."""
    state = Path(sys.argv[1]).resolve()
    stopping = Stopping()
    with _alone(state):
        Supervisor(state).run(lambda: stopping.asked_to_end)
    return 0


if __name__ == "__main__":
    code = main()
    sys.stderr.flush()
    os._exit(code)  # a thread of the pool may still wait for a probe's answer; nothing is left to be written
