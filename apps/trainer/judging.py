"""
What a training would make of rows on this machine: the rules of ``cleaning`` once more, in Python and without Spark.

It says beforehand what quarantine would say afterwards; a test holds the two against each other.
"""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from apps.common.messages import MAX_TEXT
from apps.common.spark import DECIMAL
from apps.datasets.declaration import Column, Dataset, Row
from apps.trainer.cleaning import MAX_WORD, NAN_OF_JSON, bounds, input_columns, rule

EXAMPLES = 3
_NUMBER = re.compile(DECIMAL)


@dataclass
class RowsJudged:
    """How many rows were judged and quarantined, and by which rule; a row may break several."""

    rows: int = 0
    quarantined: int = 0
    rules: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[str]] = field(default_factory=dict)
    columns: Counter[str] = field(default_factory=Counter)

    @property
    def accepted(self) -> int:
        """Rows that break no rule."""
        return self.rows - self.quarantined


def judge(dataset: Dataset, rows: Iterable[Row]) -> RowsJudged:
    """Hold each row against what the declaration asks of a training row."""
    wanted = dict.fromkeys((*input_columns(dataset), *dataset.key, dataset.target))
    columns = [
        replace(column, required=True) if name == dataset.target or name in dataset.key else column
        for name, column in ((name, dataset.column(name)) for name in wanted)
    ]
    missing = {column.name: {*column.missing, NAN_OF_JSON} for column in columns}
    found = RowsJudged()
    for row in rows:
        found.rows += 1
        bad = False
        for column in columns:
            cell = row[column.name].strip(" ")
            if broken := _problem(dataset, column, cell, absent=cell in missing[column.name]):
                bad = True
                found.rules[broken] += 1
                found.columns[column.name] += 1
                examples = found.examples.setdefault(broken, [])
                if cell not in examples and len(examples) < EXAMPLES:
                    examples.append(cell)
        found.quarantined += bad
    return found


def _problem(dataset: Dataset, column: Column, cell: str, *, absent: bool) -> str:
    """The rule that a cell breaks, as the rejection names it; "" when it breaks none."""
    if absent:
        return f"{column.name} must be given" if column.required else ""
    if column.kind not in ("number", "flag"):
        return f"{column.name} must have at most {MAX_TEXT} characters" if len(cell) > MAX_TEXT else ""
    value = _value(column, cell)
    low, high = bounds(column)
    if column.name == dataset.target and value is not None and (broken := _label_problem(dataset, value)):
        return f"{column.name} {broken}"
    fits = value is not None and (column.kind == "flag" or low <= value <= high)
    return "" if fits else f"{column.name} {rule(column)}"


def _label_problem(dataset: Dataset, value: float) -> str:
    if dataset.task == "binary" and value not in (0, 1):
        return "must be 0 or 1"
    return "must be above 0" if dataset.log_target and value <= 0 else ""


def _value(column: Column, cell: str) -> float | None:
    if len(cell) > MAX_WORD:
        return None
    if column.kind == "flag":
        yes, no = column.flag_texts
        return 1.0 if cell.lower() in yes else 0.0 if cell.lower() in no else None
    if column.pattern:
        match = re.fullmatch(column.pattern, cell)
        cell = (match[1] or "") if match else ""
    return float(cell) if _NUMBER.match(cell) else None
