"""What would be quarantined is said before anything is trained; tests/adapters hold it against Spark's own verdict."""

from dataclasses import replace

import pytest

from apps.datasets.declaration import Column, Dataset
from apps.trainer.judging import judge

FLATS = Dataset(
    name="flats",
    task="regression",
    target="rent",
    key=("id",),
    columns=(
        Column("id"),
        Column("rent", "number", minimum=1, maximum=5000),
        Column("size", "number", pattern="([0-9.]+) m2", nulls=("-",)),
        Column("lift", "flag", words=("yes", "no")),
        Column("note"),
    ),
    numeric={"size": "size", "lift": "lift"},
)
GOOD = {"id": "a", "rent": "700", "size": "50 m2", "lift": "Yes", "note": ""}


@pytest.mark.parametrize(
    ("cells", "rule"),
    [
        ({}, None),
        ({"size": "-", "lift": "", "note": "x" * 9999}, None),
        ({"rent": ""}, "rent must be given"),
        ({"id": "NA"}, "id must be given"),
        ({"rent": "5001"}, "rent must be a number 1-5000"),
        ({"rent": "7OO"}, "rent must be a number 1-5000"),
        ({"size": "50"}, "size must be a number written as '([0-9.]+) m2'"),
        ({"size": f"{'0' * 65} m2"}, "size must be a number written as '([0-9.]+) m2'"),
        ({"lift": "True"}, "lift must be yes or no"),
        ({"id": "x" * 4097}, "id must have at most 4096 characters"),
    ],
)
def test_a_row_is_quarantined_by_the_rule_it_breaks(cells, rule):
    """Missing, beyond the limits, not to be read, too long; what no feature reads may be anything."""
    found = judge(FLATS, [GOOD | cells])

    assert ([rule] if rule else []) == list(found.rules)
    assert found.accepted == (rule is None)


def test_a_row_with_two_faults_counts_once_and_each_fault_has_examples():
    """Rows are counted by rows, rules by the cells that break them."""
    found = judge(FLATS, [GOOD, GOOD | {"rent": "-1", "lift": "maybe"}, GOOD | {"rent": "0"}])

    assert (found.rows, found.quarantined, found.accepted) == (3, 2, 1)
    assert {"rent": 2, "lift": 1} == found.columns
    assert ["-1", "0"] == found.examples["rent must be a number 1-5000"]


@pytest.mark.parametrize(
    ("change", "cell", "rule"),
    [
        ({"task": "binary"}, "2", "rent must be 0 or 1"),
        ({"log_target": True}, "0", "rent must be above 0"),
    ],
)
def test_a_target_must_suit_its_task(change, cell, rule):
    """A class is 0 or 1, and only what is above 0 has a logarithm."""
    columns = tuple(Column("rent", "number") if column.name == "rent" else column for column in FLATS.columns)

    assert [rule] == list(judge(replace(FLATS, columns=columns, **change), [GOOD | {"rent": cell}]).rules)
