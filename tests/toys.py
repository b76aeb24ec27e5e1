"""The dataset of toys that the tests of several rooms share: a key, a target, and a text that is awkward in CSV."""

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
