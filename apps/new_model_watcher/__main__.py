"""``python -m apps.new_model_watcher``: compare champion and server once, or each BATON_TICK_S seconds, and act."""

import sys

from structlog.stdlib import BoundLogger

from apps import datasets
from apps.common import registry, ticking
from apps.common.errors import BatonError
from apps.common.logs import configure
from apps.common.settings import load
from apps.new_model_watcher.settings import NewModelWatcherSettings
from apps.new_model_watcher.watcher import NewModelWatcher
from apps.orchestrator.factory import from_settings


def main() -> int:
    """Watch; 0 when a tick (or the loop) came to its end, 1 when something that is needed did not answer."""
    log = configure("new-model-watcher")
    try:
        settings = load(NewModelWatcherSettings)
        log = configure("new-model-watcher", settings.log_format)
        return ticking.run(watcher(settings, log).tick, settings.tick_s, log, settings.tick_for_s)
    except BatonError as error:
        log.error("cannot watch", reason=str(error))  # noqa: TRY400 - its text says it all
        return 1


def watcher(settings: NewModelWatcherSettings, log: BoundLogger) -> NewModelWatcher:
    """The watcher that the settings describe."""
    name = datasets.get(settings.dataset).name
    return NewModelWatcher(
        champion=lambda: registry.champion(settings.mlflow, name),
        orchestrator=from_settings(settings),
        log=log,
    )


if __name__ == "__main__":
    sys.exit(main())
