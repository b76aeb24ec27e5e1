"""``python -m apps.new_model_watcher``: compare champion and server once, or each BATON_TICK_S seconds, and act."""

import sys

from structlog.stdlib import BoundLogger

from apps import datasets
from apps.common import entry, registry, ticking
from apps.common.exposition import Exposition
from apps.new_model_watcher.watcher import NewModelWatcher
from apps.orchestrator.factory import WatcherSettings, from_settings


def watch(settings: WatcherSettings, log: BoundLogger) -> int:
    """Watch the model of the dataset; return DONE when the tick, or the loop, came to its end."""
    datasets.get(settings.dataset)
    watcher = NewModelWatcher(
        champion=lambda: registry.champion(settings.mlflow, settings.names.model),
        orchestrator=from_settings(settings),
        log=log,
        metrics=lambda run_id: registry.metrics(settings.mlflow, run_id),
    )
    record = ticking.TickRecord()
    Exposition(lambda: (*record.figures(), *watcher.told)).start(settings, log)
    return ticking.run(watcher.tick, settings.tick_s, log, settings.tick_for_s, record)


if __name__ == "__main__":
    sys.exit(entry.run("new-model-watcher", WatcherSettings, watch, failed="cannot watch"))
