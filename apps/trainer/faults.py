"""
Whose fault it is that a training ended: the batch's, something outside, or the trainer's own.

Spark and MLflow raise one and the same exception for a bug, for HDFS in safe mode and for a full disk. So after an
exception that nobody foresaw the platform is asked whether it is well: only then does it count as a crash.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from mlflow.exceptions import MlflowException

from apps.common import registry
from apps.common.errors import BatonError, Unavailable
from apps.trainer.found_batch import TrainingContext

LEAST_FREE = 64 * 1024 * 1024  # bytes of the trainer's own disk


@contextmanager
def judged(context: TrainingContext) -> Iterator[None]:
    """Let an exception pass when it is the trainer's own fault; raise Unavailable in its place when it is not."""
    try:
        yield
    except BatonError:
        raise
    except MlflowException as error:
        context.log.exception("MLflow did not do what it was asked")
        raise Unavailable(f"MLflow must keep what a training writes; got {error}; see its log") from error
    except Exception:
        ask_platform(context)
        raise


def ask_platform(context: TrainingContext) -> None:
    """Ask for what every training needs; raise Unavailable with what cannot be had."""
    settings, store = context.settings, context.store
    registry.versions(settings.mlflow, settings.names.model)
    sample = store.folder("train-sets", f".asked-{settings.batch}")
    store.write(sample, b"a training asks whether a file can be written")
    store.files.delete(sample)
    if (free := shutil.disk_usage(settings.scratch).free) < LEAST_FREE:
        got = f"{free // 2**20} MiB in {settings.scratch}"
        raise Unavailable(f"the trainer's disk must have {LEAST_FREE // 2**20} MiB free; got {got}; make room")
