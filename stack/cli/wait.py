"""``./baton wait``: one contract for scripts, CI and Tilt: return when something is so, or fail in time."""

import time
from collections.abc import Callable
from enum import StrEnum

from apps.common.errors import BatonError
from apps.common.waiting import wait_until
from stack.cli.pipeline import Hopeless
from stack.cli.stack import Stack
from stack.embedded.supervisor.state import NAME as SUPERVISOR
from stack.runtime import ServiceStatus, late

LOOK_EVERY_S = 0.5


class Condition(StrEnum):
    """What can be waited for."""

    READY = "ready"
    VERSION = "version"
    BATCH = "batch"


def wait_for(stack: Stack, condition: Condition, name: str, seconds: float) -> dict[str, object]:
    """
    Return when the condition holds, with the figures for ``--json``; nothing need run yet when it is called.

    Raises DeadlineMissed after ``seconds``, with the last state, and BatonError at once when it cannot come true.
    """
    looks = {Condition.READY: _not_ready, Condition.VERSION: _version_missing, Condition.BATCH: _batch_missing}
    began = time.monotonic()
    last = ["nothing was seen"]

    def look() -> bool:
        last[0] = _look(lambda: looks[condition](stack, name))
        return not last[0]

    wait_until(look, seconds, lambda: last[0], every=LOOK_EVERY_S)
    return {"condition": str(condition), "name": name, "seconds": round(time.monotonic() - began, 1)}


def _look(missing: Callable[[], str]) -> str:
    """What is still missing, "" when nothing is; a service that does not answer yet is missing too."""
    try:
        return missing()
    except Hopeless:
        raise
    except BatonError as error:
        return str(error)


def _not_ready(stack: Stack, _: str) -> str:
    statuses = stack.runtime.status()
    if not stack.running():
        return f"every service must be ready; got none; run ./baton up{stack.mode.option}"
    missing = late(statuses)
    if SUPERVISOR in {status.service for status in missing}:
        return "the supervisor must run; it is gone; run ./baton up"
    return f"every service must be ready; {'; '.join(map(_words, missing))}" if missing else ""


def _words(status: ServiceStatus) -> str:
    return f"{status.service} is {status.state}{f' ({status.error})' if status.error else ''}"


def _version_missing(stack: Stack, version: str) -> str:
    return stack.pipeline().unserved(version)


def _batch_missing(stack: Stack, batch: str) -> str:
    pipeline = stack.pipeline()
    if reason := pipeline.refusal(batch):
        raise Hopeless(f"batch {batch} must be trained on; it was refused: {reason}")
    own = [version for version in pipeline.versions() if version.tags.get("batch") == batch]
    if not own:
        return f"batch {batch} must become a version; there is none yet; ./baton status shows its training"
    served, last = pipeline.served_version(), own[-1]
    if served in [version.version for version in own]:
        return pipeline.unserved(served)
    if last.withheld and pipeline.champion() != last:
        raise Hopeless(f"version {last.version} of batch {batch} must serve; it is not champion: {last.withheld}")
    return pipeline.unserved(last.version)
