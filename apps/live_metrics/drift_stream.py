"""
A second query beside the one that joins: a sample of requests and answers, counted by the bins of a version's baseline.

What a request is made into is the version's own statement, as it was where the version learned. A request counts for
the version that answered last; a sample does not say which one answers it.
"""

import json
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from pyspark.ml.feature import SQLTransformer
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812 - the name everyone knows it by
from pyspark.sql.streaming import StreamingQuery
from structlog.stdlib import BoundLogger

from apps.common.drift import Baseline, Counts
from apps.common.errors import BatonError, ModelRefused
from apps.common.messages import MAX_TEXT, MAX_VALUE_BYTES
from apps.common.model_files import PREDICTIONS_BASELINE, REQUESTS_BASELINE
from apps.common.registry import Artifacts, NoArtifact
from apps.common.sql_statements import statement_problems
from apps.common.sql_text import quoted
from apps.live_metrics import join
from apps.live_metrics.drift_windows import PREDICTION, DriftWindows, Key, counted
from apps.live_metrics.kept import Kept
from apps.live_metrics.publish import Publisher
from apps.live_metrics.settings import LiveMetricsSettings

EVERY = 12  # batches of the query that joins are one of this
MOST_ROWS = 5_000  # of a batch's sample: more would tell little more
MOST_OFFSETS = 200_000  # of a batch, both topics together: what is behind is read bit by bit
MOST_TEXT = 1000  # characters of a reason
PARTS = 10_000
DRIFTS = "what is asked or answered is not what the version learned from"
WINDOW, FIELDS, GIVEN = "_b_window", "_b_fields", "_b_given"  # columns beside those of the dataset


@dataclass(frozen=True)
class Learned:
    """
    What a version learned from, in ``run_id``.

    ``statement`` makes of the ``inputs`` a column for each feature; ``columns`` are those by the features' names, and
    ``features`` is what each was like, the predictions among them where the gate had some.
    """

    run_id: str
    statement: str
    inputs: list[str]
    columns: dict[str, str]
    features: dict[str, Baseline]


def learned(spark: SparkSession, files: Artifacts) -> Learned:
    """Fetch it; raises Unavailable where it cannot be had, ModelRefused where it must not be used."""
    raw = json.loads(files.read(REQUESTS_BASELINE))
    if problems := statement_problems(spark, raw["statement"]):
        raise ModelRefused(f"the statement of version {files.version.version} {'; '.join(problems)}")
    columns = {name: str(one["column"]) for name, one in raw["features"].items()}
    with suppress(NoArtifact):
        raw["features"][PREDICTION] = json.loads(files.read(PREDICTIONS_BASELINE))
    features = {name: Baseline.from_dict(one) for name, one in raw["features"].items()}
    return Learned(files.version.run_id, raw["statement"], list(raw["inputs"]), columns, features)


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
    said: dict[tuple[str, str], object] = field(default_factory=dict)

    def take(self, records: DataFrame, batch: int) -> None:
        """Count them, once; keep that; tell what has changed. What cannot be counted is said, and passed over."""
        records = records.persist()
        try:
            found = self._found(records)
        except Exception as error:  # noqa: BLE001 - a baseline or a request that nobody thought of must not end the alarm
            self._say("", f"{error!r}"[:MOST_TEXT], "a sample cannot be counted")
            return
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
        once = answers.where("prediction IS NOT NULL").dropDuplicates(["in_partition", "in_offset", "in_timestamp"])
        predicted = once.orderBy(F.desc("answered_at")).limit(MOST_ROWS)
        predictions = predicted.select("version", _window("answered_at", self.settings), "prediction").collect()
        last = predictions[0]["version"] if predictions else self.windows.version
        self.windows.version = last
        for version in {last, *(row["version"] for row in predictions)}:
            if known := self._known(version):
                sampled = [([PREDICTION], [tuple(row[1:]) for row in predictions if row["version"] == version])]
                if version == last:
                    asked = cells(records.where(F.col("topic") == names.requests), known, self.settings).collect()
                    fit = [(start, *features) for start, given, *features in asked if given]
                    sampled.append((list(known.columns), fit))
                for features, rows in sampled:
                    for start, counts in counted(known.features, features, rows).items():
                        found.setdefault((version, start), {}).update(counts)
        return found

    def _known(self, version: str) -> Learned | None:
        """What a version learned from, as long as the version is of that run; None while it cannot be had."""
        if not version:
            return None
        try:
            files, known = Artifacts(self.settings.mlflow, self.settings.names.model, version), self.known.get(version)
            if known is None or known.run_id != files.version.run_id:
                self.known[version] = known = learned(self.spark, files)
            self.windows.of_run(version, known.run_id)
        except (BatonError, KeyError, TypeError, ValueError, OverflowError) as error:
            self._say(version, str(error)[:MOST_TEXT], "the drift of a version cannot be told")
        return self.known.get(version)

    def _tell(self) -> None:
        baselines = {version: one.features for version, one in self.known.items()}
        self.publisher.publish_drift(self.windows, baselines)
        version = self.windows.version
        window = self.windows.told(version)
        if window and version in baselines:
            large = [drift for drift in self.windows.drifts(*window, baselines[version]) if drift.large]
            told = ", ".join(drift.words() for drift in large)
            self._say(
                version,
                told and f"{len(large)} of {len(baselines[version])} features: {told}"[:MOST_TEXT],
                DRIFTS,
                {one.feature for one in large},
            )

    def _say(self, version: str, reason: str, sentence: str, what: object = None) -> None:
        """Once, until it is something else, or nothing."""
        what = what or reason
        if self.said.get((version, sentence), "") != what:
            self.said[version, sentence] = what
            if reason:
                self.log.warning(sentence, version=version, reason=reason)


def _window(moment: str, settings: LiveMetricsSettings) -> Any:
    start = F.floor(F.unix_millis(moment) / (1000 * settings.drift_window_s)) * settings.drift_window_s
    return start.cast("long").alias(WINDOW)


def cells(requests: DataFrame, version: Learned, settings: LiveMetricsSettings) -> DataFrame:
    """
    Of the newest requests the window, whether the server would answer by a prediction, and the features.

    No filter stands behind a statement: all that it is made of would be written into the condition, again and again.
    """
    fits = requests.where(F.length("value") <= MAX_VALUE_BYTES).orderBy(F.desc("timestamp")).limit(MOST_ROWS)
    schema = ", ".join(f"{quoted(name)}: STRING" for name in version.inputs)
    text = F.concat(F.lit("["), F.col("value").cast("string"), F.lit("]"))  # a value that is no object is no element
    parsed = fits.select(_window("timestamp", settings), F.from_json(text, f"ARRAY<STRUCT<{schema}>>").alias(FIELDS))
    inputs = [f"left({FIELDS}[0].{quoted(name)}, {MAX_TEXT + 1}) AS {quoted(name)}" for name in version.inputs]
    given = f"size({FIELDS}) = 1 AND coalesce({', '.join(f'{FIELDS}[0].{quoted(name)}' for name in version.inputs)})"
    raw = parsed.selectExpr(WINDOW, f"{given} IS NOT NULL AS {GIVEN}", *inputs)
    rows = SQLTransformer(statement=version.statement).transform(raw)
    features = (F.col(quoted(name)) for name in version.columns.values())
    return rows.select(WINDOW, (F.col(GIVEN) & F.col("rejection").isNull()).alias(GIVEN), *features)


def start(spark: SparkSession, settings: LiveMetricsSettings, intake: DriftIntake) -> StreamingQuery:
    """Start the query where it was left, or with what comes from now on."""
    names = settings.names
    options = {
        **settings.kafka_access.spark(),
        "subscribe": f"{names.requests},{names.answers}",
        "startingOffsets": "latest",
        "includeHeaders": "true",
        "groupIdPrefix": f"{settings.stack}.live-metrics-drift",
        "maxOffsetsPerTrigger": MOST_OFFSETS,
        "failOnDataLoss": "false",  # a sample loses nothing by it
        "kafka.isolation.level": "read_committed",
    }
    records = spark.readStream.format("kafka").options(**options).load()
    drawn = F.pmod(F.xxhash64("key"), F.lit(PARTS)) < int(settings.drift_sample * PARTS)
    writer = records.where(drawn).writeStream.foreachBatch(intake.take).queryName("drift").outputMode("append")
    writer = writer.option("checkpointLocation", intake.kept.checkpoint)
    return writer.trigger(processingTime=f"{round(1000 * EVERY * settings.metrics_period_s)} milliseconds").start()
