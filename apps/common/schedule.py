"""
When a training is due though no batch has landed: cron text in a time zone, and what such a training is called.

Cron text means what Debian's cron makes of it. At a change of the clocks a time of day that does not exist is the
moment after the gap, and one that comes twice is the first of the two; what begins with ``*`` in its minutes or hours
goes by the time that passes.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from itertools import takewhile
from zoneinfo import ZoneInfo, available_timezones

from cronsim import CronSim, CronSimError

REASON, INSTANT, MISSED = "reason", "scheduled_for", "missed"  # tags of a scheduled training's run and version
SCHEDULED = "schedule"  # the value of REASON
_NAME = "schedule-%Y%m%dT%H%M%SZ"
_FIELDS = ("minute", "hour", "day of the month", "month", "day of the week")


@dataclass(frozen=True)
class Schedule:
    """Cron text, and the time zone of its hours by its name in the IANA data base; both are checked."""

    text: str
    zone: str

    def after(self, moment: datetime) -> Iterator[datetime]:
        """Each instant after a moment, in order, in UTC."""
        found = CronSim(self.text, moment.astimezone(ZoneInfo(self.zone)))
        # In the hour that comes twice cronsim gives the first 02:30 again to whoever asks after it.
        return (instant for one in found if (instant := one.astimezone(UTC)) > moment)

    def between(self, after: datetime, until: datetime) -> list[datetime]:
        """The instants after one moment, up to another."""
        return list(takewhile(lambda instant: instant <= until, self.after(after)))


@dataclass(frozen=True)
class ScheduleMark:
    """
    Up to when the instants of a schedule were acted on.

    ``missed`` is how many the newest training made up for, beside its own; a schedule that is new has missed none.
    """

    schedule: Schedule
    until: datetime
    missed: int = 0

    def moved_to(self, instant: datetime) -> "ScheduleMark":
        """It once the training of an instant was asked for; one that is not later changes nothing."""
        if instant <= self.until:
            return self
        return replace(self, until=instant, missed=len(self.schedule.between(self.until, instant)) - 1)

    def missed_before(self, instant: datetime) -> int:
        """How many the training of an instant makes up for, as long as no later one was acted on."""
        return self.moved_to(instant).missed if instant >= self.until else 0

    def to_json(self) -> str:
        """The text of the tag."""
        return json.dumps({**asdict(self), "until": self.until.isoformat()})

    @classmethod
    def from_json(cls, text: str) -> "ScheduleMark | None":
        """Read the tag; None when it is none: then the schedule begins anew."""
        try:
            raw = json.loads(text)
            until = datetime.fromisoformat(raw["until"]).astimezone(UTC)
            return cls(Schedule(**raw["schedule"]), until, int(raw["missed"]))
        except (ValueError, KeyError, TypeError):
            return None


def schedule_of(text: str, zone: str) -> Schedule | None:
    """The schedule of two settings; None where the text is empty."""
    return Schedule(" ".join(text.split()), zone) if text.strip() else None


def cron_problem(text: str) -> str:
    """What is wrong with cron text; empty when nothing is."""
    rule = f"it must be cron text of five fields ({', '.join(_FIELDS)}) as 0 2 * * *, or empty"
    if (count := len(text.split())) != len(_FIELDS):
        return f"{rule}: it has {count} of {len(_FIELDS)} fields"
    try:
        first = next(CronSim(text, datetime.now(UTC)), None)
    except (CronSimError, ValueError) as error:
        return f"{rule}: {error}"
    return "" if first else f"{rule}: no day is such a day"


def zone_problem(name: str) -> str:
    """What is wrong with the name of a time zone; empty when nothing is."""
    return "" if name in available_timezones() else "it must be a name of the IANA data base, as UTC or Europe/Berlin"


def name_of(instant: datetime) -> str:
    """What the training of an instant has in place of a batch's name."""
    return instant.astimezone(UTC).strftime(_NAME)


def hash_of(name: str) -> str:
    """What it has in place of a batch's content hash; no batch has it, since that would be a hash of hashes."""
    return hashlib.sha256(name.encode()).hexdigest()


def instant_of(name: str, content_hash: str) -> datetime | None:
    """The instant of a scheduled training; None for the training of a batch, whatever the batch is called."""
    if content_hash != hash_of(name):
        return None
    try:
        return datetime.strptime(name, _NAME).replace(tzinfo=UTC)
    except ValueError:
        return None
