"""
One release: proves a version step by step, then answers with it until the process is ended.

Make before break: the release before answers all the while, and is ended only when this one says that it is ready.
"""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from pyspark.ml import PipelineModel
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.streaming import StreamingQuery
from structlog.stdlib import BoundLogger

from apps.common.errors import BatonError
from apps.prediction_server import golden, pipeline, probe, session, stream
from apps.prediction_server.answers import answers
from apps.prediction_server.answers_tail import AnswersTail
from apps.prediction_server.model import Model, fetch, share
from apps.prediction_server.ready import say_ready
from apps.prediction_server.resume_offset import ResumePoint
from apps.prediction_server.settings import ServerSettings

WATCH_S = 1
Step = tuple[str, Callable[[], None]]


class Serving:
    """The steps, and what they hand to each other (each attribute is set by the step named beside it)."""

    spark: SparkSession  # start
    model: Model  # start
    pipeline: PipelineModel  # load
    starts: dict[int, ResumePoint]  # find_start
    query: StreamingQuery  # answer

    def __init__(self, settings: ServerSettings, log: BoundLogger) -> None:
        """Nothing is started yet."""
        self.settings = settings
        self.log = log

    def steps(self) -> tuple[Step, ...]:
        """What is proven, in order."""
        return (
            ("started Spark, fetched and checked the version", self.start),
            ("loaded the pipeline", self.load),
            ("proved the golden rows", self.prove),
            ("found where to start", self.find_start),
            ("started to answer", self.answer),
            ("answered its own probes", self.probe),
        )

    def run(self) -> None:
        """Do every step and say that it is ready, then answer; returns only by raising."""
        begun = time.monotonic()
        for name, step in self.steps():
            since = time.monotonic()
            step()
            self.log.info(name, seconds=round(time.monotonic() - since, 2))
        say_ready(self.settings, "serving")
        self.log.info("serving", seconds=round(time.monotonic() - begun, 2))
        while not self.query.awaitTermination(WATCH_S):
            pass
        raise BatonError("the query must run for ever; it ended by itself; see the log")

    def start(self) -> None:
        """Start the JVM and download the version side by side: each takes seconds."""
        told = self.settings
        with ThreadPoolExecutor(1) as pool:
            fetched = pool.submit(fetch, told.mlflow, told.dataset, told.model_version, told.scratch / "files")
            self.spark = session.start(told, "prediction-server")
            self.model = fetched.result()
        if told.executors:
            self.model = share(self.model, told.hdfs, told.shared("model"))

    def load(self) -> None:
        """Load the pipeline, which is checked by now."""
        self.pipeline = pipeline.load(self.spark, self.model)

    def prove(self) -> None:
        """Let it score the golden rows."""
        golden.prove(self.spark, self.pipeline, self.model)

    def find_start(self) -> None:
        """Ask the answers topic what is unanswered."""
        self.starts = AnswersTail(self.settings.kafka, self.log).starts(self.settings.kafka_deadline_s)
        offsets = {partition: start.offset for partition, start in self.starts.items()}
        self.log.info("starting", offsets=offsets, ignored=sum(start.ignored for start in self.starts.values()))

    def answer(self) -> None:
        """Start the query."""
        self.query = stream.write(self._answers(), self.settings)

    def _answers(self) -> DataFrame:
        offsets = {partition: start.offset for partition, start in self.starts.items()}
        requests = stream.requests(self.spark, self.settings, offsets)
        told = self.settings
        return answers(requests, self.pipeline, self.model.input_columns, told.model_version, told.release)

    def probe(self) -> None:
        """Send a request through each partition and wait for the answers."""
        told = self.settings
        probe.probe(told.kafka, sorted(self.starts), self.model, told.release, told.probe_deadline_s, self._failure)

    def _failure(self) -> str | None:
        return None if self.query.isActive else str(self.query.exception())
