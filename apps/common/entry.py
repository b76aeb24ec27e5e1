"""The frame of every app: its logger, its settings, its work, and an exit code that tells the three outcomes apart."""

from collections.abc import Callable
from typing import TypeVar

from structlog.stdlib import BoundLogger

from apps.common.errors import BatchRefused, BatonError, ModelRefused
from apps.common.exit_codes import CRASHED, FAILED, REFUSED
from apps.common.logs import configure
from apps.common.settings import Settings, load

S = TypeVar("S", bound=Settings)


def run(name: str, kind: type[S], body: Callable[[S, BoundLogger], int], failed: str) -> int:
    """
    Do an app's work with its settings; return the exit code that ``body`` returns, or that of what it raises.

    ``name`` is the app's in the log. An exception is logged as ``failed``: one line with its text as the reason when
    it was foreseen, with its traceback when it is a fault of the program.
    """
    log = configure(name)
    try:
        settings = load(kind)
        log = configure(name, settings.log_format)
        return body(settings, log)
    except Exception as error:
        code = exit_code(error)
        if code == CRASHED:
            log.exception(failed)
        else:
            log.error(failed, reason=str(error))  # noqa: TRY400 - its text says it all
        return code


def exit_code(error: Exception) -> int:
    """
    The exit code that says what an exception means for whoever started the app.

    A full disk, or a service that is reached over HTTP and does not answer, is an OSError too. One whose connection
    broke off was talking to a process of its own, the JVM, which has died.
    """
    if isinstance(error, BatchRefused | ModelRefused):
        return REFUSED
    if isinstance(error, ConnectionError):
        return CRASHED
    return FAILED if isinstance(error, BatonError | OSError) else CRASHED
