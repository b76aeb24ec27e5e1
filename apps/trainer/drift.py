"""How much a new batch differs from the rows before it, feature by feature: it warns, and decides nothing."""

from typing import Any

from pyspark.ml.feature import SQLTransformer
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F  # noqa: N812 - the name everyone knows it by

from apps.common.drift import Baseline, Drift, of_numbers, of_words
from apps.common.sql_text import quoted
from apps.datasets.declaration import Dataset
from apps.trainer.cleaning import CATEGORY, NUMBER, categories_of, input_columns, request_sql
from apps.trainer.train_set import BATCH

MOST_ROWS = 20_000  # of the batch, and of those before it: more would tell little more


def measure(dataset: Dataset, rows: DataFrame, batch: str) -> list[Drift]:
    """The drift of each feature of ``batch`` against the other batches of a train set, the largest index first."""
    own = F.col(BATCH) == batch
    (numbers_before, words_before), (numbers, words) = _features(dataset, rows, ~own), _features(dataset, rows, own)
    found = [of_numbers(name, numbers_before[name], values) for name, values in numbers.items()]
    found += [of_words(name, words_before[name], values) for name, values in words.items()]
    return sorted(found, key=lambda one: -one.index)


def baseline(dataset: Dataset, rows: DataFrame) -> dict[str, Any]:
    """
    What requests are later compared with: how a request becomes features, and what each was in the train set.

    ``statement`` makes of the ``inputs``, all strings, the ``column`` of each feature.
    """
    numbers, words = _features(dataset, rows, F.lit(True))
    features = {
        name: {"column": NUMBER + name, **Baseline.of_numbers(values).to_dict()} for name, values in numbers.items()
    }
    for name, values in words.items():
        both = f"{name} (category)" if name in numbers else name
        features[both] = {"column": CATEGORY + name, **Baseline.of_words(values).to_dict()}
    return {"statement": request_sql(dataset), "inputs": input_columns(dataset), "features": features}


def _features(
    dataset: Dataset, rows: DataFrame, of: Column
) -> tuple[dict[str, list[float | None]], dict[str, list[str | None]]]:
    """The numbers and the categories of a sample of the rows for which ``of`` is true, by their names."""
    numbers, words = list(dataset.numeric), list(categories_of(dataset))
    cells = [F.col(quoted(name)) for name in (*(NUMBER + one for one in numbers), *(CATEGORY + one for one in words))]
    typed = SQLTransformer(statement=request_sql(dataset)).transform(rows)
    drawn = typed.where(of).select(*cells).orderBy(F.xxhash64(*cells)).limit(MOST_ROWS).toArrow()
    columns = [column.to_pylist() for column in drawn.columns]
    return dict(zip(numbers, columns, strict=False)), dict(zip(words, columns[len(numbers) :], strict=True))
