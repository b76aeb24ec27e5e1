"""Where the figures go: a topic, one record for each version and window that has changed, and MLflow, for people."""

import json
import time
from dataclasses import dataclass, field
from typing import Any

from structlog.stdlib import BoundLogger

from apps.common import registry
from apps.common.errors import Unavailable
from apps.common.request_sender import connect
from apps.live_metrics.drift_windows import Baselines, DriftWindows
from apps.live_metrics.settings import LiveMetricsSettings
from apps.live_metrics.windows import Windows

FLUSH_S = 30
MLFLOW_EVERY_S = 15
RECENT_S = 3600  # what MLflow is told is of so much time, up to the newest window
PREFIX = "live_"


@dataclass
class Publisher:
    """Tells what has changed since it told last; after a start that is everything, and the same as before."""

    settings: LiveMetricsSettings
    task: str
    log: BoundLogger
    _sums: dict[str, dict[str, float]] = field(default_factory=dict)  # version -> figure -> value; never changed
    _drifts: dict[str, dict[str, float]] = field(default_factory=dict)  # the same of each version's newest sample
    _told: dict[str, bytes] = field(default_factory=dict)
    _told_drift: dict[str, bytes] = field(default_factory=dict)
    _told_mlflow: dict[str, dict[str, float]] = field(default_factory=dict)
    _tried_at: float = -MLFLOW_EVERY_S

    def __post_init__(self) -> None:
        self._producer = connect(self.settings.kafka_access, linger_ms=5)

    @property
    def recent(self) -> dict[str, dict[str, float]]:
        """Version -> figure -> value, of the newest hour that had answers and of the newest sample."""
        sums, drifts = self._sums, self._drifts
        return {version: {**sums.get(version, {}), **drifts.get(version, {})} for version in (*sums, *drifts)}

    def publish(self, windows: Windows) -> None:
        """Return when Kafka has taken what has changed."""
        records = self._records(windows)
        self._produce(records, self._told)
        self._told = records
        newest = max((start for _, start in windows.sums), default=0)
        self._sums = {
            version: {name: value for name, value in sums.figures(self.task).items() if value is not None}
            for version, sums in windows.since(newest - RECENT_S).items()
        }

    def publish_drift(self, windows: DriftWindows, baselines: Baselines) -> None:
        """The same for drift, whose records have keys of their own; called from another thread."""
        model, records = self.settings.names.model, dict(windows.records(baselines))
        written = {
            f"drift/{version}@{start}": json.dumps({"model": model, **record}, allow_nan=False).encode()
            for (version, start), record in records.items()
        }
        self._produce(written, self._told_drift)
        self._told_drift = written
        self._drifts = {
            version: _in_short(record)
            for (version, start), record in records.items()
            if (version, start) == windows.told(version)
        }

    def _produce(self, records: dict[str, bytes], told: dict[str, bytes]) -> None:
        changed = {key: value for key, value in records.items() if told.get(key) != value}
        for key, value in changed.items():
            self._producer.produce(self.settings.names.live_metrics, value, key)
            self._producer.poll(0)
        if left := self._producer.flush(FLUSH_S):
            raise Unavailable(f"Kafka must take {len(changed)} figures within {FLUSH_S} s; got {left} left; is it up?")

    def tell_mlflow(self) -> None:
        """Tell it what was published since, seldom; while it does not answer, that is said and nothing waits for it."""
        now = time.monotonic()
        if now < self._tried_at + MLFLOW_EVERY_S:
            return
        names, mlflow = self.settings.names, self.settings.mlflow
        changed = {version: told for version, told in self.recent.items() if self._told_mlflow.get(version) != told}
        self._tried_at = now if changed else self._tried_at
        try:
            for version, told in changed.items():
                if found := registry.version(mlflow, names.model, version):
                    named = {f"{PREFIX}{name}": value for name, value in told.items()}
                    registry.log_metrics(mlflow, found.run_id, named, int(time.time()))
                self._told_mlflow[version] = told
        except Unavailable as error:
            self.log.warning("MLflow does not take live metrics", reason=str(error))

    def _records(self, windows: Windows) -> dict[str, bytes]:
        now = time.time()
        told = {}
        for (version, start), sums in windows.sums.items():
            value = {
                "model": self.settings.names.model,
                "version": version,
                "window_start": start,
                "window_s": self.settings.window_s,
                "mature": sums.settled(start, self.settings.window_s, self.settings.outcome_wait_s, now),
                **sums.figures(self.task),
            }
            told[f"{version}@{start}"] = json.dumps(value, allow_nan=False).encode()
        return told


def _in_short(record: dict[str, Any]) -> dict[str, float]:
    """How many features drift, and by how much the one that does so most."""
    return {
        "drift_rows": record["rows"],
        "drift_large": len(record["large"]),
        "drift_largest": max((one["baseline"] for one in record["features"].values()), default=0.0),
    }
