"""
A stack as one would build it with scikit-learn alone: the columns, the encodings and the trees of Baton's own.

Numbers imputed by their median, small categories one-hot, all by their target mean; a ridge and boosted trees, and a
linear model over their out-of-fold predictions. It checks a request by the same declaration. It is here to compare
speeds: what of Baton's features is an expression of its own is approximated, by the raw number or by one read from a
text.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import sklearn
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import StackingRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, TargetEncoder
from threadpoolctl import threadpool_limits

from apps.datasets.declaration import Column, Dataset
from apps.datasets.source import read_csv
from apps.trainer.booster import unfitted
from apps.trainer.cleaning import MISSING, categories_of, input_columns
from apps.trainer.settings import TrainerSettings

HELD_OUT = 5  # each fifth row tests
ITEMS = ("major_options",)  # texts of which the number of items counts

Cells = list[float | str]  # the numbers, then the categories


class RequestReader:
    """Raw cells as the model takes them, by the dataset's declaration."""

    def __init__(self, dataset: Dataset) -> None:
        """Which columns are read, and as what."""
        self.categories = categories_of(dataset)
        columns = [dataset.column(name) for name in input_columns(dataset)]
        self.numbers = [column for column in columns if column.name not in self.categories]
        self.words = [column for column in columns if column.name in self.categories]

    def read(self, raw: Mapping[str, object]) -> Cells:
        """Its numbers, NaN where there is none, and its categories; raise ValueError with every problem."""
        problems: list[str] = []
        numbers: Cells = [_checked(column, raw, _number, problems, np.nan) for column in self.numbers]
        words: Cells = [_checked(column, raw, lambda _, text: text, problems, MISSING) for column in self.words]
        if problems:
            raise ValueError("; ".join(problems))
        return numbers + words


def _checked(column: Column, raw: Mapping[str, object], read: Any, problems: list[str], missing: Any) -> Any:
    text = str(raw.get(column.name, "")).strip()
    try:
        if text not in column.missing:
            return read(column, text)
        if column.required:
            problems.append(f"{column.name} must be given; got nothing")
    except ValueError:
        problems.append(f"{column.name} must be a {column.kind}; got {text[:40]!r}")
    return missing


def _number(column: Column, text: str) -> float:
    if column.kind == "flag":
        yes, no = column.flag_texts
        if text.lower() not in yes + no:
            raise ValueError
        return float(text.lower() in yes)
    if column.kind == "category":  # one that Baton's features take a number from
        found = re.match("[0-9,]*[0-9]", text)
        return text.count("', '") + 1 if column.name in ITEMS else float(found[0].replace(",", "")) if found else np.nan
    found = re.fullmatch(column.pattern, text) if column.pattern else None
    number = float(found[1] if found else text)
    low, high = (-np.inf if column.minimum is None else column.minimum), column.maximum or np.inf
    if not low <= number <= high:
        raise ValueError
    return number


class ScikitModel:
    """The fitted stack, and what it says to requests."""

    def __init__(self, reader: RequestReader, stack: Any, low: float, high: float, *, logarithm: bool) -> None:
        """``low`` and ``high`` bound what it predicts, as learned."""
        self.reader, self.stack, self.low, self.high, self.logarithm = reader, stack, low, high, logarithm

    def predict(self, rows: Sequence[Cells]) -> list[float]:
        """The targets of rows, as one array."""
        values = np.clip(self.stack.predict(np.array(rows, dtype=object)), self.low, self.high)
        return [float(value) for value in (np.exp(values) if self.logarithm else values)]

    def score(self, values: Sequence[bytes]) -> list[tuple[float | None, str | None]]:
        """A prediction or a rejection for the JSON of each request."""
        rows: list[Cells] = []
        rejections: list[str | None] = []
        for value in values:
            try:
                rows.append(self.reader.read(json.loads(value)))
                rejections.append(None)
            except (ValueError, AttributeError) as problem:
                rejections.append(str(problem))
        predicted = iter(self.predict(rows) if rows else [])
        return [(None, why) if why is not None else (next(predicted), None) for why in rejections]


def learn(dataset: Dataset, batches: Iterable[Path]) -> tuple[ScikitModel, float]:
    """Fit the stack on the rows of ``batches``; it, and the share of the variance of the held-out rows' target."""
    sklearn.set_config(assume_finite=True, skip_parameter_validation=True)  # fewer checks: the faster way to predict
    threadpool_limits(1, user_api="openmp")  # for good: to share out one request costs more than to answer it
    reader = RequestReader(dataset)
    rows: list[Cells] = []
    targets: list[float] = []
    for batch in batches:
        for row in read_csv(batch, dataset):
            try:
                cells, target = reader.read(row), _number(dataset.column(dataset.target), row[dataset.target])
            except ValueError:
                continue  # Baton quarantines it
            rows.append(cells)
            targets.append(target)
    learned = np.log(targets) if dataset.log_target else np.array(targets)
    held = np.arange(len(rows)) % HELD_OUT == 0
    cells_array = np.array(rows, dtype=object)
    stack = _unfitted(dataset, reader).fit(cells_array[~held], learned[~held])
    margin = 0.1 * float(np.ptp(learned))
    low, high = float(learned.min()) - margin, float(learned.max()) + margin
    model = ScikitModel(reader, stack, low, high, logarithm=dataset.log_target)
    actual, predicted = np.array(targets)[held], np.array(model.predict(cells_array[held].tolist()))
    return model, 1 - float(((actual - predicted) ** 2).sum() / ((actual - actual.mean()) ** 2).sum())


def _unfitted(dataset: Dataset, reader: RequestReader) -> Any:
    settings = TrainerSettings(batch="peer")
    first = len(reader.numbers)
    hot = [first + place for place, column in enumerate(reader.words) if column.name in dataset.one_hot]
    encoded = ColumnTransformer(
        [
            ("numbers", SimpleImputer(strategy="median"), slice(0, first)),
            ("one_hot", OneHotEncoder(handle_unknown="ignore", sparse_output=False), hot),
            ("means", TargetEncoder(smooth=settings.target_smoothing), slice(first, first + len(reader.words))),
        ]
    )
    learners = [("linear_regression", Ridge()), ("boosted_trees", unfitted(dataset.task, settings))]
    return make_pipeline(encoded, StackingRegressor(learners, LinearRegression(positive=True), cv=settings.folds))
