"""SIGTERM and SIGINT as a call in a thread, which may take any lock."""

import os
import signal
import threading
from collections.abc import Callable


def when_told(act: Callable[[], None]) -> None:
    """
    Call ``act``, in a thread, at the first SIGTERM or SIGINT from now on.

    Never in the handler: it interrupts the main thread wherever that is, and would wait for ever for a lock that the
    main thread holds there. A ``threading.Event`` has one, which is held for a moment in each wait.
    """
    told, tell = os.pipe()

    def wait() -> None:
        os.read(told, 1)
        act()

    threading.Thread(target=wait, daemon=True).start()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: os.write(tell, b"."))
