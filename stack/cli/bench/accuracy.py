"""``bench accuracy``: the stacked model beside scikit-learn's, on the same rows and folds."""

import contextlib
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial, reduce
from pathlib import Path
from typing import Any

from rich.table import Table

from apps import datasets
from apps.common.errors import SettingsError
from apps.datasets.declaration import Dataset
from apps.datasets.source import write_csv
from stack.cli.bench.machine import machine, tell
from stack.cli.console import step

BATON = "baton"


@dataclass(frozen=True)
class Fitted:
    """
    What a model is worth on the test rows, in the target's unit, and the seconds it took to fit.

    Baton's seconds are of all that a training does with the rows it has: features, folds, stacker, scores; a learner's
    of one fit to all train rows; a peer's of folds and fits, for it is given the features.
    """

    who: str
    rmse: float
    r2: float
    seconds: float


def accuracy(name: str, rows: int, *, as_json: bool) -> None:
    """Train Baton's ensemble on ``rows`` generated rows, or all those of a dataset that has its own; then the peers."""
    dataset, before = datasets.get(name), machine()
    if problems := _problems(dataset):
        raise SettingsError("; ".join(problems))
    with tempfile.TemporaryDirectory(prefix="baton-bench-") as folder:
        counts, fitted = _all(dataset, rows, Path(folder))
    best = min(one.rmse for one in fitted if one.who.startswith(f"{BATON}:"))
    own = fitted[0]
    remark = (
        f"{counts[0]:,} train rows, {counts[1]:,} test rows, {counts[2]} features; the rmse of {own.who} is "
        f"{own.rmse / best:.3f} of its best learner's (where a learner is better on the test rows it predicts alone); "
        "times: how many times Baton's, whose seconds alone have the features' among them"
    )
    figures = {"dataset": name, "rows": counts[0] + counts[1], "accuracy": [_figures(one, own) for one in fitted]}
    tell(figures, before, [_table(fitted), remark], as_json=as_json)


def _problems(dataset: Dataset) -> list[str]:
    problems = []
    if dataset.task != "regression":
        problems.append(f"--dataset must be of a regression; got {dataset.name}, which is {dataset.task}")
    if not (dataset.generate or dataset.load):
        problems.append(f"--dataset must have rows of its own; got {dataset.name}, which has none")
    return problems


def _all(dataset: Dataset, rows: int, folder: Path) -> tuple[tuple[int, int, int], list[Fitted]]:
    from apps.trainer import ensemble  # noqa: PLC0415 - Spark and scikit-learn take seconds to import
    from stack.cli.bench.scikit_peers import stacked, tuned_boosting  # noqa: PLC0415

    with trainer_session(folder) as (spark, settings):
        with step("rows") as line:
            kept = _rows(spark, dataset, rows, folder, settings.folds)
            line.update(f"{kept.count():,}")
        with step("Baton's ensemble") as line:
            whole = ensemble.train(dataset, kept, settings)
            line.update(f"rmse {whole.test['rmse']:,.0f}")
        with step("the same rows and features for the peers"):
            arrays = _arrays(whole, dataset, kept, settings)
    fitted = [Fitted(f"{BATON}, {whole.predictor}", whole.test["rmse"], whole.test["r2"], whole.training_seconds)]
    fitted += [
        Fitted(f"{BATON}: {one.name}", one.test["rmse"], one.test["r2"], one.training_seconds) for one in whole.learners
    ]
    peers = {
        "scikit-learn: stacked": partial(stacked, arrays),
        "scikit-learn: tuned boosting": partial(tuned_boosting, arrays, whole.training_seconds),
    }
    for who, fit in peers.items():
        with step(who) as line:
            began = time.monotonic()
            predict = fit()
            seconds = time.monotonic() - began
            rmse, r2 = arrays.worth(predict)
            fitted.append(Fitted(who, rmse, r2, seconds))
            line.update(f"rmse {rmse:,.0f}")
    return (len(arrays.target), len(arrays.test_label), arrays.features.shape[1]), fitted


@contextlib.contextmanager
def trainer_session(folder: Path) -> Iterator[tuple[Any, Any]]:
    """The trainer's session and settings, with their files in ``folder``."""
    from apps.trainer import session  # noqa: PLC0415 - as above
    from apps.trainer.settings import TrainerSettings  # noqa: PLC0415

    settings = TrainerSettings(batch="bench", scratch=folder)
    with step("Spark"):
        spark = session.start(settings)
    try:
        yield spark, settings
    finally:
        spark.stop()


def _rows(spark: Any, dataset: Dataset, rows: int, folder: Path, folds: int) -> Any:
    """What a training on one batch of these rows would keep, with their fold."""
    from apps.trainer import train_set  # noqa: PLC0415 - as above

    source = dataset.generate(rows, 0, 0.0) if dataset.generate else dataset.load() if dataset.load else ()
    path = folder / "rows.csv"
    write_csv(path, source, dataset)
    checked = train_set.check(dataset, train_set.read(spark, [str(path)], dataset))
    return train_set.keep(dataset, checked.selectExpr("*", f"'b' AS {train_set.BATCH}"), folds, ["b"]).persist()


def _arrays(whole: Any, dataset: Dataset, rows: Any, settings: Any) -> Any:
    """The rows as the features of Baton's trees, encoded by the train rows, and by those of all folds but one."""
    from apps.trainer import features  # noqa: PLC0415 - as above
    from apps.trainer.boosted_trees import collect  # noqa: PLC0415
    from apps.trainer.cleaning import LABEL  # noqa: PLC0415
    from apps.trainer.target_transform import learned_sql  # noqa: PLC0415
    from apps.trainer.train_set import FOLD, TEST_FOLD  # noqa: PLC0415
    from stack.cli.bench.scikit_peers import Arrays  # noqa: PLC0415

    cleaned = whole.pipeline.stages[0].transform(rows)
    cleaned = cleaned.selectExpr("*", f"{learned_sql(dataset)} AS {features.LEARNED_TARGET}")
    train, test = (cleaned.where(f"{FOLD} {sign} {TEST_FOLD}").persist() for sign in ("!=", "="))

    def encoded(fitted_to: Any, *wanted: Any) -> list[Any]:
        stages = features.fit(dataset, fitted_to, settings)
        return [
            collect(reduce(lambda rows, stage: stage.transform(rows), stages, one), settings.seed) for one in wanted
        ]

    (matrix, target), (test_matrix, _) = encoded(train, train, test)
    by_fold = [encoded(train.where(f"{FOLD} != {number}"), train)[0][0] for number in range(settings.folds)]
    return Arrays(
        features=matrix,
        target=target,
        fold=train.select(FOLD).toArrow()[0].to_numpy(),
        fold_features=tuple(by_fold),
        test_features=test_matrix,
        test_label=test.select(LABEL).toArrow()[0].to_numpy(),
        logarithm=dataset.log_target,
        seed=settings.seed,
    )


def _figures(one: Fitted, own: Fitted) -> dict[str, object]:
    measured = {"who": one.who, "rmse": round(one.rmse, 4), "r2": round(one.r2, 5), "seconds": round(one.seconds, 1)}
    return {**measured, "rmse_to_baton": one.rmse / own.rmse, "seconds_to_baton": one.seconds / own.seconds}


def _table(fitted: list[Fitted]) -> Table:
    table = Table("who", "rmse", "r2", "seconds", "rmse times", "seconds times", box=None)
    for one in fitted:
        ratios = one.rmse / fitted[0].rmse, one.seconds / fitted[0].seconds
        cells = f"{one.rmse:,.4g}" if one.rmse < 1000 else f"{one.rmse:,.0f}", f"{one.r2:.4f}", f"{one.seconds:.1f}"  # noqa: PLR2004 - digits
        table.add_row(one.who, *cells, *(f"{ratio:.3f}" for ratio in ratios))
    return table
