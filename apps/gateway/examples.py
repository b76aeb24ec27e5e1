"""Examples of each body, made from the dataset's declaration, for the OpenAPI page and for the model's metadata."""

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from apps.datasets.declaration import Column, Dataset

SHOWN = 8  # columns of an example


def inputs(dataset: Dataset) -> list[Column]:
    """The columns that a request may have: all but the target."""
    return [column for column in dataset.columns if column.name != dataset.target]


def datatype(column: Column) -> str:
    """What a column's cells are: a number with a unit, and a flag with words of its own, are texts."""
    if column.kind == "number" and not column.pattern:
        return "FP64"
    return "BOOL" if column.kind == "flag" and column.words is None else "BYTES"


def metadata(dataset: Dataset) -> list[dict[str, Any]]:
    """The input tensors, as the Open Inference Protocol lists them."""
    return [{"name": column.name, "datatype": datatype(column), "shape": [-1]} for column in inputs(dataset)]


def row(dataset: Dataset) -> dict[str, Any]:
    """Some fields of a row: one that the dataset makes itself, or cells that would parse."""
    made = next(iter(dataset.generate(1, 1, 0.0)), {}) if dataset.generate else {}
    cells = {column.name: _cell(column, made) for column in inputs(dataset) if column.kind != "text"}
    there = {name: cell for name, cell in cells.items() if cell is not None}
    first = sorted(there, key=lambda name: not dataset.column(name).required)[:SHOWN]
    return {name: cell for name, cell in there.items() if name in first}


def _cell(column: Column, made: Mapping[str, str]) -> Any:
    kind, text = datatype(column), made.get(column.name, "")
    if kind == "FP64":
        with suppress(ValueError):
            return json.loads(text)
        return None if made else column.minimum or 1
    if kind == "BOOL":
        return text.lower() in column.flag_texts[0] if text or not made else None
    return text or (None if made or column.pattern else (column.words or ("text",))[0])


def infer(dataset: Dataset, fields: Mapping[str, Any], request_id: str) -> dict[str, Any]:
    """A body of the Open Inference Protocol with one row."""
    tensors = [
        {"name": name, "shape": [1], "datatype": datatype(dataset.column(name)), "data": [cell]}
        for name, cell in fields.items()
    ]
    return {"id": request_id, "inputs": tensors}
