"""
``python -m apps.prediction_server``: serves a version until the process is ended, or waits when there is none yet.

Stopping is crashing: SIGTERM ends the process at once, because whoever serves next starts at the first unanswered
request. Any failed step ends it too, with its reason, and the release before goes on serving.
"""

import os
import signal
import sys

from apps.common.errors import BatonError
from apps.common.logs import configure
from apps.common.settings import load
from apps.prediction_server.ready import say_ready
from apps.prediction_server.settings import ServerSettings


def main() -> None:
    """Wait, or serve; never return."""
    log = configure("prediction-server")
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: crash(0))
    try:
        settings = load(ServerSettings)
        log = configure("prediction-server", settings.log_format)
        log = log.bind(release=settings.release, version=settings.model_version)
        settings.ready_file.unlink(missing_ok=True)
        if not settings.model_version:
            wait(settings)
        from apps.prediction_server.serve import Serving  # a server that waits takes a tenth of the memory

        Serving(settings, log).run()
    except BatonError as error:
        log.error("the server ends", reason=str(error))  # noqa: TRY400 - its text says it all
    except Exception:
        log.exception("the server ends")
    crash(1)


def wait(settings: ServerSettings) -> None:
    """Be ready to be replaced by the first release."""
    say_ready(settings, "waiting")
    while True:
        signal.pause()


def crash(code: int) -> None:
    """End this process and its JVM without ceremony."""
    loaded = sys.modules.get("pyspark")
    gateway = loaded.SparkContext._gateway if loaded else None  # noqa: SLF001 - pyspark names it nowhere else
    process = getattr(gateway, "proc", None)
    if process is not None:
        process.kill()
    os._exit(code)


if __name__ == "__main__":
    main()
