"""``python -m apps.batch_dropper``: drop the next batch (BATON_JOB=drop) or replay requests (BATON_JOB=replay)."""

import secrets
import sys
import threading

from structlog.stdlib import BoundLogger

from apps import datasets
from apps.batch_dropper.dropping import drop_file, drop_slice
from apps.batch_dropper.settings import DropperSettings
from apps.batch_dropper.slice_store import SliceStore
from apps.common import entry, starter, ticking
from apps.common.batches import BatchStore
from apps.common.end_signals import when_told
from apps.common.exit_codes import DONE, NOTHING_LEFT
from apps.datasets.declaration import Dataset


def main() -> int:
    """Return DONE, FAILED when something that is needed did not answer, or NOTHING_LEFT when no slice is left."""
    return entry.run("batch-dropper", DropperSettings, work, failed="the job could not be done")


def work(settings: DropperSettings, log: BoundLogger) -> int:
    """Do the job that the settings name."""
    job = drop if settings.job == "drop" else replay
    return job(settings, datasets.get(settings.dataset), log)


def drop(settings: DropperSettings, dataset: Dataset, log: BoundLogger) -> int:
    """Drop one batch, or one each ``drop_every_s``."""
    store = BatchStore(settings.hdfs, settings.names)
    slices = SliceStore(settings, dataset, log)

    def once() -> None:
        batch = (
            drop_file(store, dataset, settings.file, settings.batch)
            if settings.file
            else drop_slice(store, slices.take)
        )
        if batch is None:
            log.warning("every slice is dropped already", advice=slices.advice())
            raise SystemExit(NOTHING_LEFT)
        log.info("dropped", batch=batch.name, rows=batch.rows)
        print(batch.to_json(), flush=True)  # noqa: T201 - for the program that started this one

    return ticking.run(once, 0 if settings.file else settings.drop_every_s, log)


def replay(settings: DropperSettings, dataset: Dataset, log: BoundLogger) -> int:
    """Send the test part as requests."""
    from apps.batch_dropper.replay import Replay  # noqa: PLC0415 - dropping needs no Kafka client
    from apps.common.send_journal import SendWriter  # noqa: PLC0415

    stop = threading.Event()
    if settings.ends_with_stdin:
        starter.when_gone(stop.set)
    run = Replay(
        access=settings.kafka_access,
        names=settings.names,
        run=settings.run or secrets.token_hex(4),
        requests=SliceStore(settings, dataset, log).requests(),
        journal=SendWriter(settings.journal),
        rate=settings.rate,
        seconds=settings.seconds,
        outcome_delay=settings.outcome_delay_s,
        stop=stop,
    )
    when_told(stop.set)
    run.go()
    journal, late = run.journal, run.sender.lateness
    log.info(
        "replayed",
        run=run.run,
        sent=run.sender.sent,
        acknowledged=journal.acknowledged,
        unknown=journal.failed,
        worst_lateness_ms=round(late.worst * 1000, 1),
        late_by_5_ms=late.over_5_ms,
    )
    return DONE


if __name__ == "__main__":
    sys.exit(main())
