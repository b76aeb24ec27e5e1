"""``python -m apps.batch_dropper``: drop the next batch (BATON_JOB=drop) or replay requests (BATON_JOB=replay)."""

import secrets
import signal
import sys

from structlog.stdlib import BoundLogger

from apps import datasets
from apps.batch_dropper.dropping import drop_file, drop_slice
from apps.batch_dropper.settings import DropperSettings
from apps.batch_dropper.slice_store import SliceStore
from apps.common import ticking
from apps.common.batches import BatchStore
from apps.common.errors import BatonError, SettingsError
from apps.common.logs import configure
from apps.common.settings import load
from apps.datasets.declaration import Dataset
from apps.datasets.source import read_csv

NOTHING_LEFT = 3  # the exit code when every slice is dropped


def main() -> int:
    """Do the job; 0 when it is done, 1 when something that is needed did not answer, 3 when no slice is left."""
    log = configure("batch-dropper")
    try:
        settings = load(DropperSettings)
        log = configure("batch-dropper", settings.log_format)
        job = drop if settings.job == "drop" else replay
        return job(settings, datasets.get(settings.dataset), log)
    except BatonError as error:
        log.error("the job could not be done", reason=str(error))  # noqa: TRY400 - its text says it all
        return 1


def drop(settings: DropperSettings, dataset: Dataset, log: BoundLogger) -> int:
    """Drop one batch, or one each ``drop_every_s``."""
    store = BatchStore(settings.hdfs, dataset.name)
    slices = SliceStore(settings, dataset, log)

    def once() -> None:
        dropped = (
            drop_file(store, dataset, settings.file, settings.batch)
            if settings.file
            else drop_slice(store, slices.take)
        )
        if dropped is None:
            log.warning("every slice is dropped already", advice="BATON_SLICES says how many; BATON_FILE drops a file")
            raise SystemExit(NOTHING_LEFT)
        log.info("dropped", batch=dropped.batch, rows=dropped.rows)
        print(dropped.to_json(), flush=True)  # noqa: T201 - for the program that started this one

    return ticking.run(once, 0 if settings.file else settings.drop_every_s, log)


def replay(settings: DropperSettings, dataset: Dataset, log: BoundLogger) -> int:
    """Send the test part as requests."""
    from apps.batch_dropper.encoding import encode  # noqa: PLC0415 - dropping needs no Kafka client
    from apps.batch_dropper.journal import Journal  # noqa: PLC0415
    from apps.batch_dropper.replay import Replay  # noqa: PLC0415

    test = SliceStore(settings, dataset, log).take(0)
    if test is None:
        raise SettingsError("a test part must be there; got none; bring more rows")
    run = Replay(
        kafka=settings.kafka,
        run=settings.run or secrets.token_hex(4),
        requests=[encode(dataset, row) for row in read_csv(test.path, dataset)],
        journal=Journal(settings.journal),
        rate=settings.rate,
        seconds=settings.seconds,
        outcome_delay=settings.outcome_delay_s,
    )
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: run.stop.set())
    run.go()
    journal, late = run.journal, run.lateness
    log.info(
        "replayed",
        run=run.run,
        sent=run.sent,
        acknowledged=journal.acknowledged,
        unknown=journal.failed,
        worst_lateness_ms=round(late.worst * 1000, 1),
        late_by_5_ms=late.over_5_ms,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
