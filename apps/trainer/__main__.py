"""``python -m apps.trainer``: train on the batch named by BATON_BATCH and on everything used before it."""

import shutil
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from structlog.contextvars import bind_contextvars
from structlog.stdlib import BoundLogger

from apps import datasets
from apps.common import entry
from apps.common.batches import BatchStore
from apps.common.exit_codes import DONE
from apps.trainer import session
from apps.trainer.settings import TrainerSettings
from apps.trainer.stopping import CleanStop


def work(settings: TrainerSettings, log: BoundLogger) -> int:
    """Train; return DONE when the batch is trained on or refused: a refusal is a result and not a failure."""
    begun = time.monotonic()
    bind_contextvars(batch=settings.batch)
    dataset = datasets.get(settings.dataset)
    store = BatchStore(settings.hdfs, dataset.name)
    settings.scratch.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(1) as starter:
        spark = starter.submit(session.start, settings)  # while MLflow is imported: each takes seconds
        from apps.trainer.found_batch import TrainingContext  # noqa: PLC0415
        from apps.trainer.training import train_on_batch  # noqa: PLC0415

        stop = CleanStop(settings, log)
        stop.install()
        try:
            train_on_batch(TrainingContext(settings, dataset, store, spark, log), stop)
        finally:
            spark.result().stop()
            shutil.rmtree(settings.scratch, ignore_errors=True)
    log.info("done", seconds=round(time.monotonic() - begun, 1))
    return DONE


if __name__ == "__main__":
    sys.exit(entry.run("trainer", TrainerSettings, work, failed="the training failed"))
