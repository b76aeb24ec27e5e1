"""The frame of every app: its logger, its settings, its work, and an exit code that tells a refusal from a crash."""

from collections.abc import Callable
from typing import TypeVar

from structlog.stdlib import BoundLogger

from apps.common.errors import BatonError
from apps.common.exit_codes import FAILED
from apps.common.logs import configure
from apps.common.settings import Settings, load

S = TypeVar("S", bound=Settings)


def run(name: str, kind: type[S], body: Callable[[S, BoundLogger], int], failed: str) -> int:
    """
    Do an app's work with its settings; return the exit code that ``body`` returns.

    ``name`` is the app's in the log. A BatonError is logged as one line, ``failed`` with its text as the reason, and
    the exit code is FAILED; any other exception is a fault of the program and passes through.
    """
    log = configure(name)
    try:
        settings = load(kind)
        log = configure(name, settings.log_format)
        return body(settings, log)
    except BatonError as error:
        log.error(failed, reason=str(error))  # noqa: TRY400 - its text says it all
        return FAILED
