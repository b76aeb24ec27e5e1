"""What ``status`` tells of the schedule of trainings: its next instant, and what was missed."""

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from apps.common import registry
from apps.common.schedule import Schedule, schedule_of
from stack.cli.pipeline import Pipeline
from stack.cli.settings import shown


def set_for(pipeline: Pipeline) -> Schedule | None:
    """The schedule of the stack; None when it has none."""
    told = shown(pipeline.environment)
    return schedule_of(told.get("schedule", ""), told.get("schedule_zone", "UTC"))


def as_json(pipeline: Pipeline, schedule: Schedule, now: float | None = None) -> dict[str, Any]:
    """
    It for programs, times in ISO 8601 and in its zone; ``now`` is in seconds since 1970.

    ``waiting`` is how many instants have passed that no training was asked for; ``missed`` how many the newest training
    made up for beside its own, that of ``made_up_at``.
    """
    moment = datetime.fromtimestamp(now or time.time(), UTC)
    mark = registry.schedule_mark(pipeline.environment["BATON_MLFLOW"], pipeline.names.model)
    mark = mark if mark and mark.schedule == schedule else None  # the watcher has not seen it yet, or has no batch
    zone = ZoneInfo(schedule.zone)
    return {
        "schedule": schedule.text,
        "zone": schedule.zone,
        "next": next(schedule.after(moment)).astimezone(zone).isoformat(),
        "waiting": len(schedule.between(mark.until, moment)) if mark else 0,
        "missed": mark.missed if mark else 0,
        "made_up_at": mark.until.astimezone(zone).isoformat() if mark and mark.missed else None,
    }


def words(told: Mapping[str, Any]) -> str:
    """It in a line."""
    line = f"schedule: {told['schedule']} ({told['zone']}); next {told['next']}"
    if told["waiting"]:
        line += f"; {told['waiting']} passed and wait for the trainer, a batch or the watcher"
    return line + (f"; {told['missed']} missed before {told['made_up_at']}" if told["missed"] else "")
