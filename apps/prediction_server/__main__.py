"""
``python -m apps.prediction_server``: proves a version, then answers with it until the process is ended.

Stopping is crashing: SIGTERM ends the process at once, because whoever serves next starts at the first unanswered
request. Any failed step ends it too, with its reason, and the release before goes on serving.
"""

import json
import os
import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from structlog.stdlib import BoundLogger

from apps.common.errors import BatonError
from apps.common.logs import configure
from apps.common.settings import load
from apps.prediction_server.settings import ServerSettings

WATCH_S = 1


def say_ready(settings: ServerSettings, state: str) -> None:
    """Write the ready file as a whole."""
    unfinished = settings.ready_file.with_name(f".{settings.ready_file.name}.tmp")
    ready = {"release": settings.release, "version": settings.model_version, "state": state}
    unfinished.write_text(json.dumps(ready))
    unfinished.replace(settings.ready_file)


def serve(settings: ServerSettings, log: BoundLogger) -> None:
    """Each step proves something before the next; returns only by raising."""
    from pyspark.ml import PipelineModel

    from apps.prediction_server import golden, model, probe, session, stream, tail
    from apps.prediction_server.answers import answers

    settings.scratch.mkdir(parents=True, exist_ok=True)
    clock = Clock(log)
    with ThreadPoolExecutor(1) as pool:
        download = pool.submit(
            model.fetch, settings.mlflow, settings.dataset, settings.model_version, settings.scratch / "files"
        )
        spark = session.start(settings, "prediction-server")
        clock.done("session started")
        checked = download.result()
        clock.done("model fetched and checked")
    pipeline = PipelineModel.load(checked.pipeline)
    clock.done("model loaded")
    golden.prove(spark, pipeline, checked)
    clock.done("golden rows proven")
    start = tail.find_start(settings.kafka, settings.kafka_deadline_s, log)
    clock.done("start found", offsets=start.offsets, ignored=start.ignored)
    requests = stream.requests(spark, settings.kafka, start)
    answered = answers(requests, pipeline, checked.input_columns, settings.model_version, settings.release)
    query = stream.write(answered, settings)
    partitions = sorted(start.offsets)
    probe.probe(
        settings.kafka, partitions, checked, settings.release, settings.probe_deadline_s, lambda: bool(query.isActive)
    )
    clock.done("probes answered")
    say_ready(settings, "serving")
    while not query.awaitTermination(WATCH_S):
        pass
    raise BatonError("the query must run for ever; it ended by itself")


class Clock:
    """Logs how long each step took."""

    def __init__(self, log: BoundLogger) -> None:
        """Starts now."""
        self._log = log
        self._since = time.monotonic()

    def done(self, step: str, **details: object) -> None:
        """A step ended."""
        now = time.monotonic()
        self._log.info(step, seconds=round(now - self._since, 2), **details)
        self._since = now


def crash(code: int) -> None:
    """End this process and its JVM without ceremony."""
    context = sys.modules.get("pyspark")
    gateway = context.SparkContext._gateway if context else None  # noqa: SLF001 - pyspark names it nowhere else
    process = getattr(gateway, "proc", None)
    if process is not None:
        process.kill()
    os._exit(code)


def main() -> None:
    """Wait, or serve; never return."""
    settings = load(ServerSettings)
    log = configure("prediction-server", settings.log_format)
    log = log.bind(release=settings.release, version=settings.model_version)
    signal.signal(signal.SIGTERM, lambda *_: crash(0))
    signal.signal(signal.SIGINT, lambda *_: crash(0))
    settings.ready_file.unlink(missing_ok=True)
    Path(settings.ready_file).parent.mkdir(parents=True, exist_ok=True)
    if not settings.model_version:
        log.info("no version yet; waiting to be told")
        say_ready(settings, "waiting")
        while True:
            signal.pause()
    try:
        serve(settings, log)
    except BatonError as error:
        log.error(str(error))  # noqa: TRY400 - our own sentences need no traceback
    except Exception:
        log.exception("the server failed")
    crash(1)


if __name__ == "__main__":
    main()
