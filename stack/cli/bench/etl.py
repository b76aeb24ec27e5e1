"""``bench etl``: a CSV of 66 columns to Parquet, by the trainer's own steps and by DuckDB, on the same file."""

import tempfile
import time
from collections.abc import Callable, Sequence
from functools import reduce
from pathlib import Path
from statistics import median
from typing import Any

from rich.table import Table

from apps import datasets
from apps.datasets.source import write_csv
from stack.cli.bench.accuracy import trainer_session
from stack.cli.bench.machine import machine, tell
from stack.cli.console import step

DATASET = "used_cars"
CHECKED, FEATURES, PEER = "Baton: CSV to checked rows", "Baton: CSV to features", "DuckDB: CSV to Parquet"
MB = 1e6


def etl(rows: int, rounds: int, *, as_json: bool) -> None:
    """Each way once to warm up, then ``rounds`` times in turn; the medians, in MB of CSV a second."""
    before = machine()
    with tempfile.TemporaryDirectory(prefix="baton-bench-") as folder:
        seconds, megabytes = _measured(rows, rounds, Path(folder))
    speeds = {who: megabytes / median(each) for who, each in seconds.items()}
    table = Table("who", "seconds", "MB/s", "of DuckDB's", box=None)
    for who, speed in speeds.items():
        table.add_row(who, f"{median(seconds[who]):.1f}", f"{speed:.1f}", f"{speed / speeds[PEER]:.2f}")
    remark = (
        f"{rows:,} rows, {megabytes:,.0f} MB, medians of {rounds}; checked rows: each cell read as text, the declared "
        "rules applied, Parquet; features: these read again, cleaned, encoded by what they teach, one vector for the "
        "trees, Parquet; DuckDB guesses the types, applies no rule, and encodes nothing"
    )
    figures = {"rows": rows, "mb": round(megabytes, 1), "seconds": seconds, "mb_per_s": speeds}
    tell(figures, before, [table, remark], as_json=as_json)


def _measured(rows: int, rounds: int, folder: Path) -> tuple[dict[str, list[float]], float]:
    """The seconds of each way in each round, and the MB of the file."""
    dataset, csv = datasets.get(DATASET), folder / "rows.csv"
    with step(f"{rows:,} rows") as line:
        if not dataset.generate:
            raise AssertionError(f"{DATASET} must generate rows")
        write_csv(csv, dataset.generate(rows, 0, 0.0), dataset)
        line.update(f"{csv.stat().st_size / MB:,.0f} MB")
    with trainer_session(folder) as (spark, settings):
        ways = _ways(spark, settings, csv)
        seconds: dict[str, list[float]] = {who: [] for who in ways}
        for number in range(rounds + 1):
            with step("warm-up" if not number else f"round {number} of {rounds}") as line:
                took = {who: _seconds(way, folder / "out") for who, way in ways.items()}
                line.update(", ".join(f"{each:.1f} s" for each in took.values()))
            for who, each in took.items():
                seconds[who] += [each] if number else []
    return seconds, csv.stat().st_size / MB


def _seconds(way: Callable[[str], None], out: Path) -> float:
    began = time.monotonic()
    way(str(out))
    return time.monotonic() - began


def _ways(spark: Any, settings: Any, csv: Path) -> dict[str, Callable[[str], None]]:
    """Each writes to the path that it is given."""
    import duckdb  # noqa: PLC0415 - what a benchmark alone needs

    dataset, checked_rows = datasets.get(DATASET), csv.with_name("checked")

    def checked(_: str) -> None:
        _write(_checked(spark, dataset, csv), str(checked_rows))

    def features(out: str) -> None:
        checked(out)
        _write(_features(spark, dataset, settings, checked_rows), out)

    def peer(out: str) -> None:
        with duckdb.connect() as connection:
            connection.execute(f"COPY (SELECT * FROM read_csv('{csv}')) TO '{out}.parquet' (FORMAT parquet)")  # noqa: S608 - ours

    return {CHECKED: checked, FEATURES: features, PEER: peer}


def _checked(spark: Any, dataset: Any, csv: Path) -> Any:
    from apps.trainer import train_set  # noqa: PLC0415 - Spark takes seconds to import

    return train_set.check(dataset, train_set.read(spark, [str(csv)], dataset))


def _features(spark: Any, dataset: Any, settings: Any, checked_rows: Path) -> Any:
    from apps.trainer import features  # noqa: PLC0415 - as above
    from apps.trainer.cleaning import LABEL, request_sql  # noqa: PLC0415
    from apps.trainer.target_transform import learned_sql  # noqa: PLC0415

    spark.read.parquet(str(checked_rows)).where("rejection IS NULL").createOrReplaceTempView("good")
    cleaned = spark.sql(request_sql(dataset).replace("__THIS__", "good"))
    cleaned = cleaned.selectExpr("*", f"{learned_sql(dataset)} AS {features.LEARNED_TARGET}").persist()
    stages: Sequence[Any] = features.fit(dataset, cleaned, settings)
    encoded = reduce(lambda rows, stage: stage.transform(rows), stages, cleaned)
    return encoded.select(features.TREE_FEATURES, LABEL)


def _write(rows: Any, path: str) -> None:
    rows.write.mode("overwrite").parquet(path)
    rows.sparkSession.catalog.clearCache()
