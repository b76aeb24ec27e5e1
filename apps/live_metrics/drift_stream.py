"""
A second query beside the one that joins: a sample of requests and answers, counted by the bins of a version's baseline.

What a request is made into is the version's own statement, as it was where the version learned. A request counts for
the version that answered last; a sample does not say which one answers it.
"""

import json
from dataclasses import dataclass, field
from typing import Any

from pyspark.errors import PySparkException
from pyspark.ml.feature import SQLTransformer
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812 - the name everyone knows it by
from pyspark.sql.streaming import StreamingQuery
from structlog.stdlib import BoundLogger

from apps.common.drift import Baseline, Counts
from apps.common.errors import BatonError, ModelRefused
from apps.common.model_files import PREDICTIONS_BASELINE, REQUESTS_BASELINE
from apps.common.registry import Artifacts
from apps.common.sql_statements import statement_problems
from apps.common.sql_text import quoted
from apps.live_metrics import join
from apps.live_metrics.drift_windows import PREDICTION, DriftWindows, Key
from apps.live_metrics.kept import Kept
from apps.live_metrics.publish import Publisher
from apps.live_metrics.settings import LiveMetricsSettings

EVERY = 6  # batches of the query that joins are one of this
MOST_ROWS = 5_000  # of a batch's sample: more would tell little more
PARTS = 10_000
WINDOW, FIELDS = "_b_window", "_b_fields"  # columns beside those of the dataset


@dataclass(frozen=True)
class Learned:
    """
    What a version learned from.

    ``statement`` makes of the ``inputs`` a column for each feature; ``columns`` are those by the features' names, and
    ``features`` is what each was like, the predictions among them.
    """

    statement: str
    inputs: list[str]
    columns: dict[str, str]
    features: dict[str, Baseline]


def learned(spark: SparkSession, settings: LiveMetricsSettings, version: str) -> Learned:
    """Fetch it; raises Unavailable where it cannot be had, ModelRefused where it must not be used."""
    files = Artifacts(settings.mlflow, settings.names.model, version)
    raw, predictions = (json.loads(files.read(name)) for name in (REQUESTS_BASELINE, PREDICTIONS_BASELINE))
    if problems := statement_problems(spark, raw["statement"]):
        raise ModelRefused(f"the statement of version {version} {'; '.join(problems)}")
    features = {name: Baseline.from_dict(one) for name, one in {**raw["features"], PREDICTION: predictions}.items()}
    columns = {name: str(one["column"]) for name, one in raw["features"].items()}
    return Learned(raw["statement"], list(raw["inputs"]), columns, features)


@dataclass
class DriftIntake:
    """What happens to each batch of the sample."""

    spark: SparkSession
    settings: LiveMetricsSettings
    kept: Kept[DriftWindows]
    windows: DriftWindows
    publisher: Publisher
    log: BoundLogger
    known: dict[str, Learned] = field(default_factory=dict)
    said: dict[str, object] = field(default_factory=dict)

    def take(self, records: DataFrame, batch: int) -> None:
        """Count them, once; keep that; tell what has changed."""
        records = records.persist()
        try:
            found = self._found(records)
        finally:
            records.unpersist()
        if self.windows.add(batch, found):
            self.kept.keep(self.windows)
        self._tell()

    def _found(self, records: DataFrame) -> dict[Key, dict[str, Counts]]:
        """The counts of a batch by version and window; what no version's baseline is known for is passed over."""
        names = self.settings.names
        found: dict[Key, dict[str, Counts]] = {}
        answers = join.read_answers(records.where(F.col("topic") == names.answers), names.model)
        predicted = answers.where("prediction IS NOT NULL").orderBy(F.desc("answered_at")).limit(MOST_ROWS)
        predictions = predicted.select("version", _window("answered_at", self.settings), "prediction").collect()
        for version in {row["version"] for row in predictions}:
            of_version = [tuple(row[1:]) for row in predictions if row["version"] == version]
            found |= self._counted(version, of_version, [PREDICTION])
        self.windows.version = version = predictions[0]["version"] if predictions else self.windows.version
        if known := self._known(version):
            rows = self._cells(records.where(F.col("topic") == names.requests), version, known)
            for key, counts in self._counted(version, rows, list(known.columns)).items():
                found[key] = {**found.get(key, {}), **counts}
        return found

    def _counted(self, version: str, rows: list[tuple[Any, ...]], features: list[str]) -> dict[Key, dict[str, Counts]]:
        """The counts of rows, each with its window first and then the ``features``, by version and window."""
        counted: dict[Key, dict[str, Counts]] = {}
        if known := self._known(version):
            for start in {row[0] for row in rows}:
                _, *columns = zip(*(row for row in rows if row[0] == start), strict=True)
                counted[version, start] = {
                    name: known.features[name].bins.count(values)
                    for name, values in zip(features, columns, strict=True)
                }
        return counted

    def _cells(self, requests: DataFrame, version: str, known: Learned) -> list[tuple[Any, ...]]:
        """The window and the features of each request; none where Spark cannot compute them, which is said."""
        try:
            return list(map(tuple, cells(requests, known, self.settings).collect()))
        except PySparkException as error:
            first, *_ = str(error).splitlines() or [repr(error)]
            self._say(version, first, "the drift of requests cannot be told", first)
            return []

    def _known(self, version: str) -> Learned | None:
        if version and version not in self.known:
            try:
                self.known[version] = learned(self.spark, self.settings, version)
            except (BatonError, KeyError, TypeError, ValueError) as error:
                self._say(version, str(error), "the drift of a version cannot be told", str(error))
        return self.known.get(version)

    def _tell(self) -> None:
        baselines = {version: one.features for version, one in self.known.items()}
        self.publisher.publish_drift(self.windows, baselines)
        version, window = self.windows.version, self.windows.newest
        if window in self.windows.counts and version in baselines:
            drifts = self.windows.drifts(*window, baselines[version])
            if large := [drift for drift in drifts if drift.large]:
                sentence = "what is asked or answered is not what the version learned from"
                self._say(version, {drift.feature for drift in large}, sentence, [drift.words() for drift in large])

    def _say(self, version: str, what: object, sentence: str, told: object) -> None:
        """Once, until it is something else."""
        if self.said.get(version) != what:
            self.said[version] = what
            self.log.warning(sentence, version=version, reason=told)


def _window(moment: str, settings: LiveMetricsSettings) -> Any:
    start = F.floor(F.unix_millis(moment) / (1000 * settings.drift_window_s)) * settings.drift_window_s
    return start.cast("long").alias(WINDOW)


def cells(requests: DataFrame, version: Learned, settings: LiveMetricsSettings) -> DataFrame:
    """The window and the features of each request that is none to be rejected."""
    read = F.from_json(F.col("value").cast("string"), ", ".join(f"{quoted(name)} STRING" for name in version.inputs))
    raw = (
        requests.limit(MOST_ROWS)
        .select(_window("timestamp", settings), read.alias(FIELDS))
        .where(f"{FIELDS} IS NOT NULL")
    )
    rows = SQLTransformer(statement=version.statement).transform(raw.select(WINDOW, f"{FIELDS}.*"))
    return rows.where("rejection IS NULL").select(WINDOW, *(F.col(quoted(name)) for name in version.columns.values()))


def start(spark: SparkSession, settings: LiveMetricsSettings, intake: DriftIntake) -> StreamingQuery:
    """Start the query where it was left, or with what comes from now on."""
    names = settings.names
    options = {
        **settings.kafka_access.spark(),
        "subscribe": f"{names.requests},{names.answers}",
        "startingOffsets": "latest",
        "includeHeaders": "true",
        "groupIdPrefix": f"{settings.stack}.live-metrics-drift",
        "failOnDataLoss": "false",  # a sample loses nothing by it
        "kafka.isolation.level": "read_committed",
    }
    records = spark.readStream.format("kafka").options(**options).load()
    drawn = F.pmod(F.xxhash64("key"), F.lit(PARTS)) < int(settings.drift_sample * PARTS)
    writer = records.where(drawn).writeStream.foreachBatch(intake.take).queryName("drift").outputMode("append")
    writer = writer.option("checkpointLocation", intake.kept.checkpoint)
    return writer.trigger(processingTime=f"{EVERY * settings.metrics_period_s} seconds").start()
