"""``python -m apps.new_data_watcher``: look into landing/ once, or each BATON_TICK_S seconds, and act."""

import sys
from functools import partial

from structlog.stdlib import BoundLogger

from apps import datasets
from apps.common import entry, registry, ticking
from apps.common.batches import BatchStore
from apps.common.exposition import Exposition
from apps.common.manifest import schema_hash
from apps.common.schedule import schedule_of
from apps.new_data_watcher.settings import NewDataWatcherSettings
from apps.new_data_watcher.watcher import KeptSchedule, NewDataWatcher
from apps.orchestrator.factory import from_settings


def watch(settings: NewDataWatcherSettings, log: BoundLogger) -> int:
    """Watch the dataset that the settings name; return DONE when the tick, or the loop, came to its end."""
    dataset = datasets.get(settings.dataset)
    watcher = NewDataWatcher(
        store=BatchStore(settings.hdfs, settings.names),
        orchestrator=from_settings(settings),
        schema_hash=schema_hash(dataset.column_names),
        grace=settings.batch_grace_s,
        registry_answers=lambda: registry.champion(settings.mlflow, dataset.name),
        kept=_kept(settings),
        log=log,
    )
    record = ticking.TickRecord()
    Exposition(lambda: (*record.figures(), *watcher.told)).start(settings, log)
    return ticking.run(watcher.tick, settings.tick_s, log, settings.tick_for_s, record)


def _kept(settings: NewDataWatcherSettings) -> KeptSchedule | None:
    schedule, where = schedule_of(settings.schedule, settings.schedule_zone), (settings.mlflow, settings.names.model)
    if schedule is None:
        return None
    return KeptSchedule(schedule, partial(registry.schedule_mark, *where), partial(registry.keep_schedule_mark, *where))


if __name__ == "__main__":
    sys.exit(entry.run("new-data-watcher", NewDataWatcherSettings, watch, failed="cannot watch"))
