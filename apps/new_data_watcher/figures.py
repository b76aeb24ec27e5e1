"""What the new-data watcher tells of itself: what its last tick saw, and what it left alone."""

from collections import Counter
from collections.abc import Collection, Iterator

from apps.common.exposition import Figure
from apps.new_data_watcher.tick import LandingView, LeaveBatch, RetryLater
from apps.orchestrator.port import TrainingState

WAITS_FOR = ("files", "retry", "person")


def figures(view: LandingView, refused: int, waits: Collection[LeaveBatch | RetryLater]) -> Iterator[Figure]:
    """Of a tick that is done; a used batch whose training failed for good waits for a person, who reads the log."""
    for folder, count in (("landing", len(view.landed)), ("used", len(view.used)), ("refused", refused)):
        yield Figure("baton_data_watcher_batches", count, {"folder": folder})
    landed = {batch.entry.name for batch in view.landed}
    kinds = Counter(
        "retry" if isinstance(wait, RetryLater) else "files" if wait.batch in landed else "person" for wait in waits
    )
    for kind in WAITS_FOR:
        yield Figure("baton_data_watcher_waiting_batches", kinds[kind], {"waits_for": kind})
    states = Counter(status.state for status in view.trainings.values())
    for state in TrainingState:
        if state is not TrainingState.ABSENT:
            yield Figure("baton_data_watcher_trainings", states[state], {"state": state})
