"""
``python -m apps.live_metrics``: joins answers and outcomes until the process is ended; no answer waits for it.

Stopping is crashing: SIGTERM ends the process and its JVM at once, and the next one goes on from the checkpoint.
"""

import signal
from typing import NoReturn

from pyspark.errors import StreamingQueryException
from pyspark.sql.streaming import StreamingQuery
from structlog.stdlib import BoundLogger

from apps import datasets
from apps.common import entry, topics
from apps.common.crash import crash
from apps.common.errors import BatonError, Unavailable
from apps.common.exit_codes import DONE
from apps.common.exposition import Exposition
from apps.common.files import empty_folder
from apps.common.hdfs import Hdfs
from apps.common.ready_file import ReadyFile, beating, heartbeat
from apps.live_metrics import drift_stream, session, stream
from apps.live_metrics.drift_windows import DriftWindows
from apps.live_metrics.figures import figures
from apps.live_metrics.kept import Kept
from apps.live_metrics.publish import Publisher
from apps.live_metrics.roll_back import Guard
from apps.live_metrics.settings import LiveMetricsSettings
from apps.live_metrics.windows import Windows

WATCH_S = 1
GONE = "KAFKA_DATA_LOSS"  # the class of Spark's error


def main() -> None:
    """Join until the process is ended."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: crash(DONE))
    crash(entry.run("live-metrics", LiveMetricsSettings, work, failed="live metrics end"))


def work(settings: LiveMetricsSettings, log: BoundLogger) -> NoReturn:
    """Start where the process before left off; end only by raising."""
    dataset, names = datasets.get(settings.dataset), settings.names
    empty_folder(settings.scratch)
    hdfs = Hdfs(settings.hdfs)
    kept, drifts = Kept(hdfs, names, "live-metrics", Windows), Kept(hdfs, names, "drift", DriftWindows)
    with beating(settings.ready_file):
        topics.make_for_live_metrics(settings.kafka_access, names)
        ids = topics.ids(settings.kafka_access, (names.answers, names.outcomes))
        windows = kept.open(ids, settings.window_s, log)
        spark = session.start(settings)
        publisher, guard = Publisher(settings, dataset.task, log), Guard(settings, dataset.task, log)
        intake = stream.Intake(settings, kept, windows, publisher, guard)
        query, drift = stream.start(spark, settings, dataset, intake), None
        if settings.drift_sample:
            asked = topics.ids(settings.kafka_access, names.pair)
            sample = drifts.open(asked, settings.drift_window_s, log)
            counted = drift_stream.DriftIntake(spark, settings, drifts, sample, publisher, log)
            drift = drift_stream.start(spark, settings, counted)
        Exposition(lambda: figures(intake, publisher)).start(settings, log)
    ReadyFile(0, "", "watching").write(settings.ready_file)
    log.info("watching", topic=names.answers, batch=windows.batch)
    try:
        _watch(query, drift, settings, publisher, guard, log)
    except StreamingQueryException as error:
        if GONE not in str(error):
            raise
        kept.forget()
        rule = "Kafka must still have what was not read; it has removed some of it"
        raise Unavailable(f"{rule}; live metrics begin anew with what is there") from error


def _watch(
    query: StreamingQuery,
    drift: StreamingQuery | None,
    settings: LiveMetricsSettings,
    publisher: Publisher,
    guard: Guard,
    log: BoundLogger,
) -> NoReturn:
    while not query.awaitTermination(WATCH_S):
        heartbeat(settings.ready_file).touch()
        publisher.tell_mlflow()
        guard.look()
        if drift and not drift.isActive:  # it warns and moves nothing; the alarm goes on without it
            log.error("drift is told no more, until live metrics are started again", reason=str(drift.exception()))
            drift = None
    raise BatonError("the query must run for ever; it ended by itself; see the log")


if __name__ == "__main__":
    main()
