"""
A saved pipeline in Spark's local format, which PySpark has no name for. Spark itself is not imported here.

PySpark's own PipelineModel would make a Python object of each stage, and of each tree in it: seconds for hundreds.
"""

from functools import reduce
from pathlib import Path
from typing import Any, Protocol


class AnyPipeline(Protocol):
    """What turns rows of raw strings into rows with predictions: a LocalPipeline, or Spark's PipelineModel."""

    def transform(self, dataset: Any, /) -> Any:
        """A DataFrame with the columns that the stages add."""


class LocalPipeline:
    """The stages as Java has them."""

    def __init__(self, spark: Any, folder: Path) -> None:
        """Load what was saved to ``folder``; raise Py4JJavaError when there is none."""
        loaded = spark._jvm.org.apache.spark.ml.PipelineModel.read().loadFromLocal(str(folder))  # noqa: SLF001
        self._stages = list(loaded.stages())

    def transform(self, rows: Any) -> Any:
        """A DataFrame with the columns that the stages add."""
        answered = reduce(lambda frame, stage: stage.transform(frame), self._stages, rows._jdf)  # noqa: SLF001
        return type(rows)(answered, rows.sparkSession)
