"""
What a tick decides of the schedule, behind what it decides of batches, as a function of what it sees.

An instant is acted on by the training that is called after it, so whoever asks twice for it gets one. The mark says up
to which instant that was done. It follows what was asked for, never the other way round: a tick that is killed between
the two leaves a mark that the next tick moves.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from apps.common.schedule import ScheduleMark, hash_of, instant_of, name_of
from apps.new_data_watcher.tick import BatchAction, LandingView, LeaveBatch, RetryLater, StartTraining, ended, try_again
from apps.orchestrator.port import TrainingState


@dataclass(frozen=True)
class MoveMark:
    """Note up to when the schedule was acted on."""

    mark: ScheduleMark


def scheduled(view: LandingView, of_batches: Sequence[BatchAction]) -> list[BatchAction | MoveMark]:
    """
    What to do now, in order; ``of_batches`` is what is decided of batches already, and these come first.

    Of the instants that have passed the last one is trained for, in place of all. A schedule that is new, or another
    one, begins now.
    """
    if view.schedule is None or not view.used:
        return []
    if view.mark is None or view.mark.schedule != view.schedule:
        return [MoveMark(ScheduleMark(view.schedule, datetime.fromtimestamp(view.now, UTC)))]
    told = view.trainings.items()
    tried = max((one for key, status in told if (one := instant_of(status.batch, key))), default=view.mark.until)
    mark = view.mark.moved_to(tried)
    actions: list[BatchAction | MoveMark] = [] if mark == view.mark else [MoveMark(mark)]
    waits = any(isinstance(action, StartTraining | RetryLater) for action in of_batches)
    return actions if view.under_way or waits else actions + _due(view, mark, name_of(tried))


def _due(view: LandingView, mark: ScheduleMark, tried: str) -> list[BatchAction | MoveMark]:
    """Finish the training that was ``tried`` last, or begin the next one; at most one is asked for."""
    actions: list[BatchAction | MoveMark] = []
    status = view.training(hash_of(tried), tried)
    if status.state is TrainingState.FAILED and status.failure:
        if not status.failure.is_final:
            return [try_again(view, tried, hash_of(tried), status.failure)]
        actions.append(LeaveBatch(tried, f"its training {ended(status.failure)}; the schedule goes on"))
    if due := mark.schedule.between(mark.until, datetime.fromtimestamp(view.now, UTC)):
        name = name_of(due[-1])
        actions.append(StartTraining(name, hash_of(name)))
    return actions
