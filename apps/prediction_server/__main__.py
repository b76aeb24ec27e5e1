"""
``python -m apps.prediction_server``: serves a version until the process is ended, or waits when there is none yet.

Stopping is crashing: SIGTERM ends the process at once, because whoever serves next starts at the first unanswered
request. Any failed step ends it too, with its reason, and the release before goes on serving.
"""

import signal
from typing import NoReturn

from structlog.contextvars import bind_contextvars
from structlog.stdlib import BoundLogger

from apps.common import entry, registry
from apps.common.crash import crash
from apps.common.exit_codes import DONE, FAILED
from apps.common.exposition import Exposition
from apps.common.files import empty_folder
from apps.common.ready_file import BEAT_S, ReadyFile, heartbeat
from apps.common.waiting import pause
from apps.prediction_server import figures
from apps.prediction_server.settings import ServerSettings


def main() -> None:
    """Wait, or serve; never return."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: crash(DONE))
    crash(entry.run("prediction-server", ServerSettings, work, failed="the server ends"))


def work(settings: ServerSettings, log: BoundLogger) -> NoReturn:
    """Wait, or serve; end only by raising."""
    bind_contextvars(release=settings.release, version=settings.model_version)
    settings.ready_file.unlink(missing_ok=True)
    exposition = Exposition(lambda: figures.identity(settings, "starting")).start(settings, log)
    empty_folder(settings.scratch)  # a pod keeps it when its container is started anew: another's checkpoint, too
    if not settings.model_version or is_of_an_earlier_baton(settings, log):
        exposition.told = lambda: figures.identity(settings, "waiting")
        wait(settings)
    from apps.prediction_server.serve import serve  # a server that waits takes a tenth of the memory

    serve(settings, log, lambda: crash(FAILED), exposition)


def is_of_an_earlier_baton(settings: ServerSettings, log: BoundLogger) -> bool:
    """Whether the release names no model, and this stack's has no such version: it was called otherwise then."""
    if not settings.release or settings.model_name:
        return False
    gone = registry.version(settings.mlflow, settings.names.model, settings.model_version) is None
    if gone:
        log.warning(
            "an earlier Baton asked for this release; what it had in Kafka, HDFS and MLflow had other names, and stays",
            advice="drop a batch: this stack begins anew",
        )
    return gone


def wait(settings: ServerSettings) -> NoReturn:
    """Be ready to be replaced by the first release."""
    ReadyFile(settings.release, settings.model_version, "waiting").write(settings.ready_file)
    while True:
        heartbeat(settings.ready_file).touch()
        pause(BEAT_S)


if __name__ == "__main__":
    main()
