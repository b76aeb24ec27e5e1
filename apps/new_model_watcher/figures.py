"""What the new-model watcher tells of itself: the champion, what serves, and what the champion's training measured."""

from collections.abc import Iterator, Mapping

from apps.common.exposition import Figure
from apps.common.registry import Version
from apps.orchestrator.port import Served

MEASURED = ("test_", "rows", "batch_")  # how the metrics of a training begin that are told on


def figures(champion: Version | None, served: Served, measured: Mapping[str, float]) -> Iterator[Figure]:
    """Of a tick that is done; ``measured`` are the metrics of the champion's run."""
    serving, wanted = served.serving, served.wanted
    labels = {
        "champion": champion.version if champion else "",
        "serving": serving.version if serving else "",
        "release_state": wanted.state if wanted else "",
    }
    yield Figure("baton_model_watcher_info", 1, labels)
    behind = champion is not None and (serving is None or serving.target != champion.target)
    yield Figure("baton_model_watcher_behind", int(behind))
    for name, value in measured.items():
        if champion and name.startswith(MEASURED):
            yield Figure("baton_champion_metric", value, {"version": champion.version, "metric": name})
