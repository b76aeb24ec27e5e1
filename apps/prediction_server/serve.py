"""
One release: proves a version step by step, then answers with it until the process is ended.

Make before break: the release before answers all the while, and is ended only when this one says that it is ready.
"""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import NoReturn

from kafka.errors import KafkaError
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.streaming import StreamingQuery
from structlog.stdlib import BoundLogger

from apps.common import read_columns, topics
from apps.common.errors import BatonError, Unavailable
from apps.common.exposition import Exposition
from apps.common.local_pipeline import AnyPipeline
from apps.common.messages import Writer
from apps.common.model import Model
from apps.common.ready_file import ReadyFile, beating, heartbeat
from apps.common.steps import StepRunner
from apps.prediction_server import class_archive, figures, golden, kept_files, session, stream
from apps.prediction_server.answers import answers
from apps.prediction_server.answers_tail import AnswersTail
from apps.prediction_server.kept_files import KeptFiles
from apps.prediction_server.probe import Probe, wait_until_level
from apps.prediction_server.progress_watch import ProgressWatch
from apps.prediction_server.resume_offset import WINDOW
from apps.prediction_server.settings import ServerSettings

WATCH_S = 1
Offsets = Mapping[int, int]  # partition -> offset


def serve(settings: ServerSettings, log: BoundLogger, leave: Callable[[], None], exposition: Exposition) -> NoReturn:
    """
    Do every step, say that the server is ready, and answer; return only by raising. ``leave`` ends the process.

    ``exposition`` tells from then on what the watch sees.
    """
    begun = time.monotonic()
    step = StepRunner(log)
    kept = KeptFiles(settings.hdfs, settings.names.hdfs_root)
    with beating(settings.ready_file):  # a pod's old ready file may count until it is removed
        spark, model = step("started Spark, fetched and checked the version", start, settings, kept, log)
        pipeline = step("loaded the pipeline", session.load_pipeline, spark, model)
        writer, partitions = step("asked who answers what", identify, settings, model, log)
        with ThreadPoolExecutor(1) as pool:  # what takes seconds beside each other
            planned = pool.submit(plan, settings, spark, model, pipeline, writer, partitions)
            step("proved the golden rows", golden.prove, spark, pipeline, model)
        say_what_is_unfit(settings, log)
        offsets = step("found where to start", find_offsets, settings, partitions, log)
        query = step("started to answer", stream.start, planned.result(), settings, offsets)
    watch = ProgressWatch(settings, writer, offsets, log)
    watch.start(leave)
    step("answered its own probes", prove_through_kafka, settings, model, writer, offsets, query, log)
    exposition.told = lambda: (*figures.identity(settings, "serving"), *figures.progress(watch))
    ReadyFile(settings.release, settings.model_version, "serving").write(settings.ready_file)
    log.info("serving", seconds=round(time.monotonic() - begun, 2))
    threading.Thread(target=kept.keep_in_time, args=(model, log), name="keep", daemon=True).start()
    answer_for_ever(query)


def answer_for_ever(query: StreamingQuery) -> NoReturn:
    """Wait for the end of what must not end; it raises the query's own error, or BatonError."""
    while not query.awaitTermination(WATCH_S):
        pass
    raise BatonError("the query must run for ever; it ended by itself; see the log")


def start(settings: ServerSettings, kept: KeptFiles, log: BoundLogger) -> tuple[SparkSession, Model]:
    """Start the JVM and fetch the version side by side: each takes seconds. Executors read it in HDFS."""

    def fetch() -> Model:
        model = kept_files.fetch(kept, settings.mlflow, settings.target, settings.scratch / "files", log)
        return kept.share(model, settings.shared("model")) if settings.executors else model

    with ThreadPoolExecutor(1) as pool:
        fetched = pool.submit(fetch)
        spark = session.start(settings, "prediction-server")
        if settings.class_archive:
            say_what_java_took(settings.class_archive, log)
        return spark, fetched.result()


def say_what_java_took(archive: Path, log: BoundLogger) -> None:
    """Log whether the JVM uses the archive of classes: it says nothing itself, and is only slower without."""
    if class_archive.is_mapped(archive):
        log.info("Java started from its archive of classes")
    elif class_archive.is_whole(archive):
        advice = "./baton down, then ./baton up makes another; in a cluster, make the images anew"
        log.warning("Java takes its archive of classes for none", archive=str(archive), advice=advice)
    else:
        log.info("Java started without an archive of classes: there is none")


def identify(settings: ServerSettings, model: Model, log: BoundLogger) -> tuple[Writer, list[int]]:
    """Who this process is to the readers of its answers, and the partitions of the requests."""
    topic_id, partitions = AnswersTail(settings.kafka_access, settings.names, log).topic(
        waits=heartbeat(settings.ready_file).touch
    )
    version, release = settings.model_version, settings.release
    reads = read_columns.told(model.fields.inputs, model.fields.declared)
    told = {"topic_id": topic_id, "manifest": model.manifest, "reads": reads}
    return Writer(settings.target.model, version, release, **told), partitions


def plan(
    settings: ServerSettings,
    spark: SparkSession,
    model: Model,
    pipeline: AnyPipeline,
    writer: Writer,
    partitions: Sequence[int],
) -> DataFrame:
    """The answers to all requests in ``partitions``."""
    return answers(stream.requests(spark, settings, partitions), pipeline, model.fields, writer)


def find_offsets(
    settings: ServerSettings, partitions: Sequence[int], log: BoundLogger, window: int = WINDOW
) -> Offsets:
    """
    Ask the answers topic for the first unanswered request of each partition.

    Raises Unavailable when the partitions are not those that were planned for any more.
    """
    tail = AnswersTail(settings.kafka_access, settings.names, log, window)
    points = tail.resume_points(waits=heartbeat(settings.ready_file).touch)
    if sorted(points) != sorted(partitions):
        raise Unavailable(
            f"{tail.requests} must keep its {len(partitions)} partitions while a server starts; got {len(points)}; "
            "it starts anew"
        )
    offsets = {partition: point.offset for partition, point in points.items()}
    log.info("starting", offsets=offsets, ignored=sum(point.ignored for point in points.values()))
    return offsets


def say_what_is_unfit(settings: ServerSettings, log: BoundLogger) -> None:
    """Log what somebody altered of the topics; a server that answers in spite of it is better than none."""
    try:
        for problem in topics.unfit(settings.kafka_access, settings.names):
            log.error("the topics do not keep what was promised", reason=problem, advice="./baton up sets them right")
    except Unavailable as error:
        log.warning("the topics were not looked at", reason=str(error))


def prove_through_kafka(
    settings: ServerSettings, model: Model, writer: Writer, offsets: Offsets, query: StreamingQuery, log: BoundLogger
) -> None:
    """
    Send a request through each partition and wait for the answers, until they come as they should.

    Raises Unavailable where Kafka does not take them: no fault of the version.
    """

    def failure() -> str | None:
        return None if query.isActive else str(query.exception())

    access, names, places = settings.kafka_access, settings.names, sorted(offsets)
    try:
        with closing(Probe(access, names, places, model, writer, settings.probe_deadline_s, failure, log)) as probe:
            probe.ask()
            wait_until_level(probe.ask, log)
    except KafkaError as error:
        raise Unavailable(f"Kafka must take a server's probes; got {error}; is it up?") from error
