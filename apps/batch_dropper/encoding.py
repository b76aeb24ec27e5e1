"""A raw row as a request, encoded once and sent many times, and as the outcome that becomes known later."""

import json
import re
from dataclasses import dataclass

from apps.datasets.declaration import Column, Dataset, Row

_JSON_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")


@dataclass(frozen=True)
class Request:
    """``value`` is the request's JSON; ``outcome`` the true target as JSON, or nothing when the row has none."""

    value: bytes
    outcome: str = ""


def encode(dataset: Dataset, row: Row) -> Request:
    """
    The request that asks for this row's target: all its cells but the target's and the empty ones.

    A plain number is written as it stands in the file, so that the server reads the number that a training would read.
    """
    cells = [
        f"{json.dumps(column.name)}: {_cell(column, row[column.name])}"
        for column in dataset.columns
        if column.name != dataset.target and row.get(column.name, "") != ""
    ]
    return Request(f"{{{', '.join(cells)}}}".encode(), _outcome(dataset, row.get(dataset.target, "")))


def _cell(column: Column, text: str) -> str:
    plain = column.kind == "number" and not column.pattern and _JSON_NUMBER.fullmatch(text)
    return text if plain else json.dumps(text)


def _outcome(dataset: Dataset, text: str) -> str:
    if dataset.task == "binary":
        (yes, no), known = dataset.column(dataset.target).flag_texts, text.strip().lower()
        return "1" if known in yes else "0" if known in no else ""
    return text if _JSON_NUMBER.fullmatch(text) else ""
