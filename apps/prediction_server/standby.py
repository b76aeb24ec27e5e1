"""
``python -m apps.prediction_server.standby``: a second server, loaded and proven, that answers while the first does not.

Nobody tells it what to serve: the newest answer names that. Nobody tells it when: a request that stays unanswered does,
whatever became of the server. It holds no lock and needs none, because what two processes of one release answer is the
same, and a reader keeps the first of two answers. The server comes first: once it is back, the standby makes room.
"""

import signal
import threading
import time
from dataclasses import dataclass, replace
from typing import NoReturn

from kafka.errors import KafkaError
from pyspark.ml import PipelineModel
from pyspark.sql import SparkSession
from structlog.contextvars import bind_contextvars
from structlog.stdlib import BoundLogger

from apps.common import entry
from apps.common.errors import BatonError, ModelRefused
from apps.common.exit_codes import DONE
from apps.common.files import empty_folder
from apps.common.messages import Answer, Writer
from apps.common.ready_file import BEAT_S, ReadyFile, heartbeat
from apps.common.steps import StepRunner
from apps.common.waiting import pause
from apps.prediction_server import golden, session
from apps.prediction_server.answers_tail import AnswersTail
from apps.prediction_server.crash import begin_anew, crash, jvm
from apps.prediction_server.kept_files import KeptFiles
from apps.prediction_server.model import Model
from apps.prediction_server.progress_watch import ProgressWatch
from apps.prediction_server.serve import Offsets, answer, answer_for_ever, start
from apps.prediction_server.settings import ServerSettings, StandbySettings
from apps.prediction_server.standby_rules import StandbyRules

MODULE = "apps.prediction_server.standby"
GLANCE_S = 0.1  # at the ends of the topics
LOOK_S = 1.0  # at who answers
WAIT_S = 3.0  # for a first answer
FENCE_S = 5  # another process must have answered for this long before a standby makes room for it


def main() -> None:
    """Stand by, or answer; never return."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: crash(DONE))
    crash(entry.run("standby", StandbySettings, work, failed="the standby ends"))


def work(settings: StandbySettings, log: BoundLogger) -> NoReturn:
    """Stand by for what serves now."""
    threading.Thread(target=_beat, args=(settings,), name="heartbeat", daemon=True).start()
    empty_folder(settings.scratch)
    log.info("watching", topic=settings.names.answers)
    ReadyFile(0, "", "waiting").write(settings.ready_file)
    served = wait_for_a_server(settings, log)
    bind_contextvars(release=served.release, version=served.model_version)
    standby = load(settings, served, log)
    said = ReadyFile(served.release, served.model_version, "standby")
    said.write(settings.ready_file)
    standby.stand_by()
    replace(said, state="serving").write(settings.ready_file)
    standby.take_over()


def _beat(settings: ServerSettings) -> NoReturn:
    while True:
        heartbeat(settings.ready_file).touch()
        pause(BEAT_S)


def wait_for_a_server(settings: ServerSettings, log: BoundLogger) -> Answer:
    """The newest answer, once there is one that names its model."""
    tail, said = AnswersTail(settings.kafka_access, settings.names, log), ""
    while True:
        try:
            if (newest := tail.newest()) and newest.model:
                return newest
        except (KafkaError, OSError) as error:
            if str(error) != said:
                said = str(error)
                log.warning("waiting for Kafka", reason=said)
        pause(WAIT_S)


def load(settings: StandbySettings, served: Answer, log: BoundLogger) -> "Standby":
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
    return Standby(told, spark, model, pipeline, log)


@dataclass(frozen=True)
class Standby:
    """A version, loaded and proven, and the release that serves it."""

    settings: StandbySettings
    spark: SparkSession
    model: Model
    pipeline: PipelineModel
    log: BoundLogger

    def stand_by(self) -> None:
        """Return when nobody answers; begin anew when another release serves."""
        writer, offsets = self._place()
        watch, rules = self._watch(writer, offsets), StandbyRules(self.settings.takeover_s)
        self.log.info("standing by")
        due = 0.0
        while True:
            now = time.monotonic()
            try:
                suspicious = rules.suspicious(now, *watch.ends())
                if suspicious or now >= due:
                    due = now + LOOK_S
                    look = watch.look()
                    if reason := watch.rules.superseded(look):
                        self._begin_anew(reason)
                    if suspicious and any(look.anybody[partition] < end for partition, end in look.ends.items()):
                        self.log.warning("nobody answers", answered=dict(look.anybody), ends=dict(look.ends))
                        watch.close()
                        return
                    if suspicious:
                        rules.unfounded()
            except (KafkaError, OSError) as error:
                self.log.warning("the broker does not answer the standby", reason=str(error))
                watch.broker_away()
                rules.broker_away(now)
            if (process := jvm()) is None or process.poll() is not None:
                raise BatonError("Spark's JVM must run; it ended; see the log")
            pause(GLANCE_S)

    def take_over(self) -> NoReturn:
        """Answer until the server does."""
        began = time.monotonic()
        if (newest := self._tail.newest()) and newest.release > self.settings.release:
            self._begin_anew(f"release {newest.release} answered last")
        writer, offsets = self._place()
        query = answer(self.settings, self.spark, self.model, self.pipeline, writer, offsets)
        self._watch(writer, offsets, leaves_for=writer.release).start(lambda: self._begin_anew("the server is back"))
        self.log.warning("answering in the server's place", offsets=offsets, seconds=round(time.monotonic() - began, 2))
        answer_for_ever(query)

    @property
    def _tail(self) -> AnswersTail:
        return AnswersTail(self.settings.kafka_access, self.settings.names, self.log)

    def _place(self) -> tuple[Writer, Offsets]:
        """Where to start if it were now, and as whom."""
        offsets = {partition: point.offset for partition, point in self._tail.resume_points().items()}
        target = self.settings.target
        writer = Writer(
            target.model,
            target.version,
            self.settings.release,
            topic_id=self._tail.topic_id(),
            manifest=self.model.manifest,
        )
        return writer, offsets

    def _watch(self, writer: Writer, offsets: Offsets, leaves_for: int | None = None) -> ProgressWatch:
        return ProgressWatch(self.settings, writer, offsets, self.log, leaves_for, FENCE_S)

    def _begin_anew(self, reason: str) -> NoReturn:
        """Forget everything, in a new process."""
        self.log.info("beginning anew", reason=reason)
        begin_anew(MODULE)


if __name__ == "__main__":
    main()
