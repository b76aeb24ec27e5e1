"""The toys that the tests of several rooms share: a dataset with a text awkward in CSV, and versions of its model."""

from apps.common.target import Target
from apps.datasets.declaration import Column, Dataset


def rows_of(count, start=0):
    """Rows with different keys; each seventh has quotes, a comma and a line break in its text."""
    for number in range(start, start + count):
        yield {"id": f"k{number}", "price": str(number), "text": 'a "b",\nc' if number % 7 == 0 else ""}


TOYS = Dataset(
    name="toys",
    task="regression",
    target="price",
    key=("id",),
    columns=(Column("id"), Column("price", "number"), Column("text")),
    numeric={},
    load=lambda: rows_of(506),
)


def toy(version, run="", manifest=""):
    """What a release of a version of the toys' model serves; each has a run of its own."""
    return Target(TOYS.name, version, run or f"run of {version}", manifest)
