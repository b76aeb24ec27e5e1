"""
``python -m apps.prediction_server.standby``: a second server, loaded and proven, that answers while the first does not.

Nobody tells it what to serve: the newest answer names that. Nobody tells it when: a request that stays unanswered does,
whatever became of the server. It holds no lock and needs none, because what two processes of one release answer is the
same, and a reader keeps the first of two answers. The server comes first: once it is back, the standby makes room.
"""

import signal
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import NoReturn

from kafka.errors import KafkaError
from py4j.protocol import Py4JError
from pyspark.sql import DataFrame, SparkSession
from structlog.contextvars import bind_contextvars
from structlog.stdlib import BoundLogger

from apps.common import entry, topics
from apps.common.crash import begin_anew, bury, crash, jvm
from apps.common.errors import BatonError, ModelRefused
from apps.common.exit_codes import DONE
from apps.common.exposition import Exposition
from apps.common.files import empty_folder
from apps.common.local_pipeline import AnyPipeline
from apps.common.messages import Answer, Writer
from apps.common.model import Model
from apps.common.ready_file import ReadyFile, beating, heartbeat
from apps.common.steps import StepRunner
from apps.common.waiting import pause
from apps.prediction_server import figures, golden, session, stream
from apps.prediction_server.answers_tail import AnswersTail
from apps.prediction_server.kept_files import KeptFiles
from apps.prediction_server.progress_watch import ProgressWatch
from apps.prediction_server.serve import (
    Offsets,
    answer_for_ever,
    find_offsets,
    identify,
    plan,
    prove_through_kafka,
    start,
)
from apps.prediction_server.settings import ServerSettings, StandbySettings
from apps.prediction_server.standby_rules import RETURNS_S, StandbyRules

MODULE = "apps.prediction_server.standby"
GLANCE_S = 0.1  # at the ends of the topics
LOOK_S = 1.0  # at who answers, when nothing moves
WAIT_S = 3.0  # for a first answer, and for a roll-out to come to its end
WINDOW = 512  # answers of a partition that are read back: seconds count, and a hole costs nobody else
PING_S, PONG_S = 5.0, 10.0


def main() -> None:
    """Stand by, or answer; never return."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: crash(DONE))
    crash(entry.run("standby", StandbySettings, work, failed="the standby ends"))


def work(settings: StandbySettings, log: BoundLogger) -> NoReturn:
    """Stand by for what serves now."""
    empty_folder(settings.scratch)
    ReadyFile(0, "", "waiting").write(settings.ready_file)
    exposition = Exposition(lambda: figures.identity(settings, "waiting")).start(settings, log)
    log.info("watching", topic=settings.names.answers)
    served = wait_for_a_server(settings, log)
    bind_contextvars(release=served.release, version=served.model_version)
    with beating(settings.ready_file):
        standby = load(settings, served, exposition, log)
    said = ReadyFile(served.release, served.model_version, "standby")
    said.write(settings.ready_file)
    standby.stand_by()
    replace(said, state="serving").write(settings.ready_file)
    standby.take_over()


def wait_for_a_server(settings: ServerSettings, log: BoundLogger) -> Answer:
    """The newest answer, once there is one that names its model, and the release before has had time to leave."""
    tail, said = AnswersTail(settings.kafka_access, settings.names, log), ""
    while True:
        heartbeat(settings.ready_file).touch()
        pause(WAIT_S)
        bury()
        try:
            if (newest := tail.newest()) and newest.model:
                return newest
        except (KafkaError, OSError) as error:
            if str(error) != said:
                said = str(error)
                log.warning("waiting for Kafka", reason=said)


def load(settings: StandbySettings, served: Answer, exposition: Exposition, log: BoundLogger) -> "Standby":
    """Do all that a server does before it knows where to start, with the version that ``served`` names."""
    step = StepRunner(log)
    kept = KeptFiles(settings.hdfs, settings.names.hdfs_root)
    told = settings.model_copy(
        update={
            "release": served.release,
            "model_version": served.model_version,
            "model_name": served.model,
            "manifest_sha256": kept.sha256_of(served.manifest or ""),
            "executors": 0,
        }
    )
    spark, model = step("started Spark, fetched and checked the version", start, told, kept, log)
    if served.manifest not in (None, model.manifest):
        raise ModelRefused(
            f"version {model.version} must have the manifest {served.manifest}, which answers name; "
            f"got {model.manifest}; it is asked for again"
        )
    pipeline = step("loaded the pipeline", session.load_pipeline, spark, model)
    step("proved the golden rows", golden.prove, spark, pipeline, model)
    writer, partitions = identify(told, model, log)
    step("rehearsed", rehearse, told, spark, model, pipeline, partitions, log)
    planned = step("planned the answers", plan, told, spark, model, pipeline, writer, partitions)
    return Standby(told, spark, writer, partitions, planned, exposition, log)


def rehearse(
    settings: StandbySettings,
    spark: SparkSession,
    model: Model,
    pipeline: AnyPipeline,
    partitions: Sequence[int],
    log: BoundLogger,
) -> None:
    """
    Answer questions of its own in topics of its own: what was done once takes a fraction of the time.

    A standby that may not make topics takes over more slowly, and that is said.
    """
    update = {"stack": settings.names.rehearsal.stack, "model_name": "", "scratch": settings.scratch / "rehearsal"}
    told = settings.model_copy(update=update)
    try:
        topics.make_for_rehearsal(told.kafka_access, told.names, len(partitions))
        writer, partitions = identify(told, model, log)
        planned = plan(told, spark, model, pipeline, writer, partitions)
        offsets = find_offsets(told, partitions, log, WINDOW)
        query = stream.start(planned, told, offsets)
        prove_through_kafka(told, model, writer, offsets, query, log)
        spark.sparkContext.setLogLevel("OFF")  # Spark tells of a query that is stopped as of one that fails
        query.stop()
        spark.sparkContext.setLogLevel("ERROR")
    except BatonError as error:
        log.warning("the standby could not rehearse", reason=str(error))


@dataclass(frozen=True)
class Standby:
    """A version, loaded and proven, whose answers need nothing any more but where to begin."""

    settings: StandbySettings
    spark: SparkSession
    writer: Writer
    partitions: Sequence[int]
    planned: DataFrame
    exposition: Exposition
    log: BoundLogger

    def stand_by(self) -> None:
        """Return when nobody answers; begin anew when another release serves."""
        watch = self._watch(partial(StandbyRules, begin_s=RETURNS_S), self._find_offsets())
        self._tell("standby", watch)
        watch.rules.began -= RETURNS_S  # a server that is away already need not be waited for
        self.log.info("standing by")
        before, looked, pinged = watch.ends(), 0.0, 0.0
        pinger = ThreadPoolExecutor(1)  # one thread, since each has a connection to the JVM of its own
        while True:
            now = time.monotonic()
            try:
                ends = watch.ends()
                quiet = ends == before and not watch.rules.waiting
                if now >= looked + (LOOK_S if quiet else self.settings.takeover_s / 3):
                    looked, before = now, ends
                    if self._must_answer(watch):
                        return
            except (KafkaError, OSError) as error:
                self.log.warning("the broker does not answer the standby", reason=str(error))
                watch.broker_away()
            if now >= pinged + PING_S:
                pinged = now
                self._ping(pinger)
            heartbeat(self.settings.ready_file).touch()
            pause(GLANCE_S)

    def _must_answer(self, watch: ProgressWatch) -> bool:
        look = watch.look()
        if reason := watch.rules.changed(look) or watch.rules.superseded(look):
            self._begin_anew(reason)
        if reason := watch.rules.stalled(look, look.anybody, self.settings.takeover_s):
            self.log.warning("nobody answers", reason=reason)
            watch.close()
        return bool(reason)

    def _ping(self, pinger: ThreadPoolExecutor) -> None:
        """A JVM that has ended, or hangs, is of no use when it is needed."""
        if (process := jvm()) is None or process.poll() is not None:
            raise BatonError("Spark's JVM must run; it ended; see the log")
        try:
            pinger.submit(self._ask_jvm).result(PONG_S)
        except TimeoutError as error:
            raise BatonError(f"Spark's JVM must answer within {PONG_S:g} s; it does not") from error
        except Py4JError as error:
            raise BatonError("Spark's JVM must run; it ended; see the log") from error

    def _ask_jvm(self) -> None:
        self.spark._jvm.System.nanoTime()  # noqa: SLF001 - the only way to ask; its name alone is a question, too

    def take_over(self) -> NoReturn:
        """Answer until the server does."""
        began = time.monotonic()
        offsets = self._find_offsets()
        watch = self._watch(partial(StandbyRules, answering=True), offsets)
        watch.start(lambda: begin_anew(MODULE))
        self._tell("serving", watch)
        query = stream.start(self.planned, self.settings, offsets)
        self.log.warning("answering in the server's place", offsets=offsets, seconds=round(time.monotonic() - began, 2))
        answer_for_ever(query)

    def _find_offsets(self) -> Offsets:
        """Where to start if it were now."""
        return find_offsets(self.settings, self.partitions, self.log, WINDOW)

    def _watch(self, rules: Callable[..., StandbyRules], offsets: Offsets) -> ProgressWatch:
        return ProgressWatch(self.settings, self.writer, offsets, self.log, rules)

    def _tell(self, state: str, watch: ProgressWatch) -> None:
        self.exposition.told = lambda: (*figures.identity(self.settings, state), *figures.progress(watch))

    def _begin_anew(self, reason: str) -> NoReturn:
        """Forget everything, in a new process."""
        self.log.info("beginning anew", reason=reason)
        begin_anew(MODULE)


if __name__ == "__main__":
    main()
