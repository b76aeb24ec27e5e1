"""``python -m apps.trainer``: train on the batch named by BATON_BATCH and on everything used before it."""

import contextlib
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import FrameType
from typing import TYPE_CHECKING

import requests
from structlog.stdlib import BoundLogger

from apps import datasets
from apps.common.batches import BatchStore
from apps.common.errors import BatchRefused, BatonError
from apps.common.logs import configure
from apps.common.settings import load
from apps.trainer import session
from apps.trainer.settings import TrainerSettings

if TYPE_CHECKING:
    from apps.trainer.training import Training


def main() -> int:
    """Run the steps; 0 when the batch is trained on or refused, 1 when something has to be mended first."""
    begun = time.monotonic()
    log = configure("trainer")
    try:
        settings = load(TrainerSettings)
        log = configure("trainer", settings.log_format).bind(batch=settings.batch)
        run(settings, log)
    except BatonError as error:
        log.error("the training failed", reason=str(error))  # noqa: TRY400 - its text says it all
        return 1
    log.info("done", seconds=round(time.monotonic() - begun, 1))
    return 0


def run(settings: TrainerSettings, log: BoundLogger) -> None:
    """Find the batch and do what is left to do for it; a refusal is a result and not a failure."""
    dataset = datasets.get(settings.dataset)
    store = BatchStore(settings.hdfs, dataset.name)
    settings.scratch.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(1) as starter:
        spark = starter.submit(session.start, settings)  # while MLflow is imported: each takes seconds
        from apps.trainer.training import Training  # noqa: PLC0415

        training = Training(settings, dataset, store, spark, log)
        _stop_cleanly(settings, training, log)
        try:
            _timed(log, "find the batch", training.find)
            for name, step in training.steps():
                _timed(log, name, step)
        except BatchRefused as refusal:
            log.warning("the batch is refused", reason=str(refusal))
            training.refuse(str(refusal))
        finally:
            spark.result().stop()
            shutil.rmtree(settings.scratch, ignore_errors=True)


def _timed(log: BoundLogger, name: str, step: Callable[[], None]) -> None:
    start = time.monotonic()
    step()
    log.info(name, seconds=round(time.monotonic() - start, 2))


def _stop_cleanly(settings: TrainerSettings, training: "Training", log: BoundLogger) -> None:
    """
    On SIGTERM or Ctrl-C mark the run and leave at once.

    Leaving hard is as safe as leaving slowly, since a trainer that is started again finishes the work; the JVM ends
    by itself when the pipe to this process closes.
    """

    def leave(number: int, _frame: FrameType | None) -> None:
        log.warning("stopped", signal=signal.Signals(number).name)
        if training.run_id:
            with contextlib.suppress(requests.RequestException):
                training.kill()
        shutil.rmtree(settings.scratch, ignore_errors=True)
        os._exit(128 + number)

    signal.signal(signal.SIGTERM, leave)
    signal.signal(signal.SIGINT, leave)


if __name__ == "__main__":
    sys.exit(main())
