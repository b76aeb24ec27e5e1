"""A signal that ends a trainer may come in the middle of a log line, whose lock is held then."""

import os
import signal
import threading

import pytest

from apps.trainer import stopping
from apps.trainer.settings import TrainerSettings


class HalfWrittenLine:
    """A log in which another line is just being written, as structlog's own lock would have it."""

    def __init__(self):
        """The line is never finished: its writer is what the signal interrupted."""
        self.lock = threading.Lock()
        self.lock.acquire()

    def warning(self, *_, **__):
        """Wait for the other line's end."""
        with self.lock:
            pytest.fail("the other line ended")


@pytest.mark.usefixtures("usual_signals")
@pytest.mark.timeout(20)
def test_a_trainer_that_is_told_to_end_within_a_log_line_ends(monkeypatch, tmp_path):
    """It ends as one that is told at any other moment, its scratch folder removed."""
    scratch, codes = tmp_path / "scratch", []
    scratch.mkdir()
    settings = TrainerSettings.model_construct(scratch=scratch)
    monkeypatch.setattr(os, "_exit", codes.append)
    stopping.CleanStop(settings, HalfWrittenLine()).install()
    signal.raise_signal(signal.SIGTERM)

    assert [128 + signal.SIGTERM] == codes
    assert not scratch.exists()
