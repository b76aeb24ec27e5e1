"""What a trainer does on SIGTERM or Ctrl-C: mark the open run as killed, remove the scratch folder, and end at once."""

import contextlib
import os
import shutil
import signal
import time
from contextvars import copy_context
from types import FrameType

import requests
from structlog.stdlib import BoundLogger

from apps.common.errors import DeadlineMissed
from apps.common.waiting import in_time
from apps.trainer.settings import TrainerSettings

_KILL_S = 5
_LOG_S = 1


class CleanStop:
    """
    The handler of both signals.

    Leaving hard is as safe as leaving slowly, since a trainer that is started again finishes the work; the JVM ends
    by itself when the pipe to this process closes.
    """

    def __init__(self, settings: TrainerSettings, log: BoundLogger) -> None:
        """``open_run`` is the id of the MLflow run to mark; empty while none is open."""
        self.settings = settings
        self.log = log
        self.open_run = ""

    def install(self) -> None:
        """Handle the signals from now on."""
        signal.signal(signal.SIGTERM, self._leave)
        signal.signal(signal.SIGINT, self._leave)

    def _leave(self, number: int, _frame: FrameType | None) -> None:
        with contextlib.suppress(DeadlineMissed):  # the signal may have come in the middle of another line
            in_time(_LOG_S, copy_context().run, self.log.warning, "stopped", signal=signal.Signals(number).name)
        if self.open_run:
            with contextlib.suppress(requests.RequestException):
                _kill(self.settings.mlflow, self.open_run)
        shutil.rmtree(self.settings.scratch, ignore_errors=True)
        os._exit(128 + number)


def _kill(mlflow: str, run_id: str) -> None:
    """
    Mark a run as killed, by one plain request.

    It is called from a signal handler, where the client's connection may be half way through another request.
    """
    body = {"run_id": run_id, "status": "KILLED", "end_time": int(time.time() * 1000)}
    requests.post(f"{mlflow}/api/2.0/mlflow/runs/update", json=body, timeout=_KILL_S)
