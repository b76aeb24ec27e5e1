"""What live metrics tell of themselves: the figures that they publish, and what the work costs."""

from collections.abc import Iterator

from apps.common.exposition import Figure
from apps.live_metrics.publish import Publisher
from apps.live_metrics.stream import Intake


def figures(intake: Intake, publisher: Publisher) -> Iterator[Figure]:
    """Of the last batch that was taken in, of the newest hour that had answers, and of the newest sample."""
    for version, told in publisher.recent.items():
        for name, value in told.items():
            yield Figure("baton_live_figure", value, {"version": version, "figure": name})
    unreadable, outcomes = intake.windows.unreadable, intake.windows.outcomes
    yield Figure("baton_live_outcomes_total", outcomes - unreadable, {"readable": "yes"})
    yield Figure("baton_live_outcomes_total", unreadable, {"readable": "no"})
    yield Figure("baton_live_rows_total", intake.rows)
    yield Figure("baton_live_batch_seconds", intake.seconds)
