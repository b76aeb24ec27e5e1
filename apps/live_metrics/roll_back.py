"""
Undoes a promotion when the alarm says so: the alias goes back to the version that was champion before.

Its only verb. What a person moved stays, a version is undone once, and whatever cannot be known undoes nothing.
"""

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from structlog.stdlib import BoundLogger

from apps.common import registry
from apps.common.errors import Unavailable
from apps.common.registry import ALARM, ROLLED_BACK, Version
from apps.live_metrics import alarm
from apps.live_metrics.alarm import Conclusion, Rule
from apps.live_metrics.settings import LiveMetricsSettings
from apps.live_metrics.windows import Key, Sums, Windows

LOOK_EVERY_S = 5
_MOST_TEXT = 1000  # characters of a reason: MLflow takes a tag of some thousands


@dataclass
class Guard:
    """Looks at the champion's windows, seldom; it remembers what it judged and has said, so that it does so once."""

    settings: LiveMetricsSettings
    task: str
    log: BoundLogger
    _sums: Mapping[Key, Sums] = field(default_factory=dict)
    _looked_at: float = -LOOK_EVERY_S
    _judged: tuple[Version, list[int], Mapping[Key, Sums]] | None = None
    _said: str = ""

    def see(self, windows: Windows) -> None:
        """Take the newest sums, as they are now."""
        self._sums = {key: replace(sums) for key, sums in windows.sums.items()}

    def look(self) -> None:
        """Judge the champion, and undo it where that is asked for; what does not answer is asked again."""
        now = time.monotonic()
        if self.settings.alarm == "off" or now < self._looked_at + LOOK_EVERY_S:
            return
        self._looked_at = now
        try:
            if champion := registry.champion(self.settings.mlflow, self.settings.names.model):
                self._judge(champion)
        except Unavailable as error:
            self.log.warning("the champion cannot be judged", reason=str(error))

    def _judge(self, champion: Version) -> None:
        settings, sums = self.settings, self._sums
        settled = [
            start
            for (version, start), one in sums.items()
            if version == champion.version
            and one.settled(start, settings.window_s, settings.outcome_wait_s, time.time())
        ]
        judged = champion, settled, sums
        if not settled or judged == self._judged:
            return
        rule = Rule(settings.alarm_margin, settings.alarm_outcomes, settings.alarm_failures)
        before = next(reversed(registry.predecessors(settings.mlflow, champion)), None)
        to = alarm.reference(sums, before.version if before else None, self._promised(champion), rule)
        found = alarm.judge(sums, champion.version, settled, to, rule)
        if found.judgement is Conclusion.FAIL:
            self._fail(champion, before, found.reason[:_MOST_TEXT])
        self._judged = judged  # only now: what MLflow did not answer is asked again

    def _promised(self, version: Version) -> float | None:
        """The RMSE of its test rows; of a binary task that of the probability, the root of the Brier score."""
        metrics = registry.metrics(self.settings.mlflow, version.run_id)
        if self.task == "binary":
            return math.sqrt(metrics["test_brier"]) if "test_brier" in metrics else None
        return metrics.get("test_rmse")

    def _fail(self, champion: Version, before: Version | None, reason: str) -> None:
        mlflow = self.settings.mlflow
        if ALARM not in champion.tags:
            registry.set_version_tag(mlflow, champion, ALARM, reason)
        kept = self._why_it_stays(champion, before)
        if kept or before is None:
            if self._said != champion.version:
                self.log.warning("the champion fails", version=champion.version, reason=reason, kept=kept)
                self._said = champion.version
            return
        now = registry.champion(mlflow, champion.name)
        if now is None or now.run_id != champion.run_id:  # somebody moved it meanwhile; it is looked at anew
            return
        registry.move_champion(mlflow, champion.name, before.version)
        registry.set_version_tag(mlflow, champion, ROLLED_BACK, f"to version {before.version}: {reason}"[:_MOST_TEXT])
        self.log.error("rolled back", version=champion.version, to=before.version, reason=reason)

    def _why_it_stays(self, champion: Version, before: Version | None) -> str:
        """Empty where its training alone made it champion, nobody has said anything since, and it is to be undone."""
        if self.settings.alarm != "act":
            return "the alarm is a dry run; --set alarm=act undoes such a version"
        if before is None:
            return "no version was champion before it"
        if ROLLED_BACK in champion.tags:
            return "it was rolled back before, and somebody made it champion again"
        everyone = registry.versions(self.settings.mlflow, champion.name)
        promoted = [one for one in everyone if one.tags.get(registry.PROMOTION) == registry.PROMOTED]
        noted = registry.noted_champions(self.settings.mlflow, champion.name)
        if not promoted or promoted[-1].version != champion.version or champion.version in noted[-1:]:
            return "a person made it champion"
        return ""
