"""``python -m apps.trainer``: train on the batch named by BATON_BATCH and on everything used before it."""

import shutil
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

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
    """Train; return DONE when the batch is trained on, raise BatchRefused when it is in refused/ instead."""
    begun = time.monotonic()
    bind_contextvars(batch=settings.batch)
    dataset = datasets.get(settings.dataset)
    store = BatchStore(settings.hdfs, settings.names)
    settings = settings.in_a_folder_of_its_own()
    with ThreadPoolExecutor(1) as starter:
        spark = starter.submit(session.start, settings)  # while MLflow is imported: each takes seconds
        from apps.trainer.faults import judged  # noqa: PLC0415
        from apps.trainer.found_batch import TrainingContext  # noqa: PLC0415
        from apps.trainer.training import train_on_batch  # noqa: PLC0415

        stop = CleanStop(settings, log)
        stop.install()
        context = TrainingContext(settings, dataset, store, spark, log)
        try:
            with judged(context):
                train_on_batch(context, stop)
        finally:
            with suppress(Exception):  # whatever became of Spark, what came of the training is known
                spark.result().stop()
            shutil.rmtree(settings.scratch, ignore_errors=True)
    log.info("done", seconds=round(time.monotonic() - begun, 1))
    return DONE


if __name__ == "__main__":
    sys.exit(entry.run("trainer", TrainerSettings, work, failed="the training failed"))
