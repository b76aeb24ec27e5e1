"""A signal comes at any moment, in the middle of what holds a lock too."""

import signal
import threading

import pytest

from apps.common.end_signals import when_told


@pytest.mark.usefixtures("usual_signals")
@pytest.mark.timeout(20)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_a_signal_is_heard_while_the_lock_that_its_act_needs_is_held(number):
    """The main thread holds the lock as the signal interrupts it: it goes on, and the act follows."""
    lock, acted = threading.Lock(), threading.Event()

    def act():
        with lock:
            acted.set()

    when_told(act)
    with lock:
        signal.raise_signal(number)
        assert not acted.is_set()
    assert acted.wait(10)
    signal.raise_signal(number)  # told again, it does nothing
