"""
What a server, or a standby, tells of itself: what its watch has seen of the topics at the last look, and no more.

Nothing is counted where requests are answered. It imports nothing that a server which waits would not load.
"""

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from apps.common.exposition import Figure
from apps.prediction_server.settings import ServerSettings

if TYPE_CHECKING:
    from apps.prediction_server.progress_watch import ProgressWatch


def identity(settings: ServerSettings, state: str) -> Iterator[Figure]:
    """What it is at."""
    target = settings.target
    labels = {"release": str(settings.release), "model": target.model, "version": target.version}
    yield Figure("baton_server_info", 1, {"state": state, **labels})


def progress(watch: "ProgressWatch") -> Iterator[Figure]:
    """How far it has come, once the watch has looked; the age is of now, so that it grows when the watch hangs, too."""
    if (seen := watch.seen) is None:
        return
    for partition, end in seen.ends.items():
        labels = {"partition": str(partition)}
        done = max(seen.answered[partition] - watch.offsets[partition], 0)
        yield Figure("baton_server_answered_total", done, labels)
        yield Figure("baton_server_lag_requests", max(end - seen.anybody[partition], 0), labels)
    for kind, count in (("prediction", watch.predictions), ("rejection", watch.rejections)):
        yield Figure("baton_server_answers_seen_total", count, {"kind": kind})
    yield Figure("baton_server_progress_age_seconds", time.monotonic() - min(seen.at, watch.rules.waiting_since))
