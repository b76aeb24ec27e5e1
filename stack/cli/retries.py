"""How ``status`` tells what a training or a release waits for: for programs, and in a few words for people."""

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from apps.orchestrator.port import Failure


def as_json(failure: Failure | None) -> dict[str, Any]:
    """A failure for programs, times in ISO 8601; ``retry_at`` is None when it is given up. Empty without a failure."""
    if failure is None:
        return {}
    return {
        "outcome": str(failure.outcome),
        "reason": failure.reason,
        "tries": failure.tries,
        "crashes": failure.crashes,
        "failed_at": _iso(failure.at),
        "retry_at": None if failure.is_final else _iso(failure.retry_at),
    }


def words(told: Mapping[str, Any], now: float | None = None) -> str:
    """
    What ``as_json`` told, to be put behind a state: ``; could not (2 tries), again in 9 s: HDFS must answer ...``.

    Empty without a failure. ``now`` is in seconds since 1970.
    """
    if "outcome" not in told:
        return ""
    tries = f"{told['tries']} {'try' if told['tries'] == 1 else 'tries'}"
    crashes = f", {told['crashes']} crashed" if 0 < told["crashes"] < told["tries"] else ""
    reason = f": {told['reason']}" if told["reason"] else ""
    return f"; {told['outcome']} ({tries}{crashes}){_next(told['retry_at'], now or time.time())}{reason}"


def _next(retry_at: str | None, now: float) -> str:
    if retry_at is None:
        return ", given up"
    seconds = datetime.fromisoformat(retry_at).timestamp() - now
    return f", again in {seconds:.0f} s" if seconds > 0 else ""


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
