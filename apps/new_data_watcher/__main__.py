"""``python -m apps.new_data_watcher``: look into landing/ once, or each BATON_TICK_S seconds, and act."""

import sys

from structlog.stdlib import BoundLogger

from apps import datasets
from apps.common import registry, ticking
from apps.common.batches import BatchStore
from apps.common.errors import BatonError
from apps.common.logs import configure
from apps.common.manifest import schema_hash
from apps.common.settings import load
from apps.new_data_watcher.settings import NewDataWatcherSettings
from apps.new_data_watcher.watcher import NewDataWatcher
from apps.orchestrator.factory import from_settings


def main() -> int:
    """Watch; 0 when a tick (or the loop) came to its end, 1 when something that is needed did not answer."""
    log = configure("new-data-watcher")
    try:
        settings = load(NewDataWatcherSettings)
        log = configure("new-data-watcher", settings.log_format)
        return ticking.run(watcher(settings, log).tick, settings.tick_s, log, settings.tick_for_s)
    except BatonError as error:
        log.error("cannot watch", reason=str(error))  # noqa: TRY400 - its text says it all
        return 1


def watcher(settings: NewDataWatcherSettings, log: BoundLogger) -> NewDataWatcher:
    """The watcher that the settings describe."""
    dataset = datasets.get(settings.dataset)
    return NewDataWatcher(
        store=BatchStore(settings.hdfs, dataset.name),
        orchestrator=from_settings(settings),
        schema_hash=schema_hash(dataset.column_names),
        grace=settings.batch_grace_s,
        registry_answers=lambda: registry.champion(settings.mlflow, dataset.name),
        log=log,
    )


if __name__ == "__main__":
    sys.exit(main())
