"""
Boston housing: 506 real rows, a loop on real data that trains in seconds.

The rows come from the package mlxtend. The column ``b`` encodes a racial share, which is why other libraries dropped
the set; it is read because the file has it, and is no feature here.
"""

from collections.abc import Iterator

from apps.common.errors import SettingsError
from apps.datasets.declaration import Column, Dataset, Row

NAMES = ("crim", "zn", "indus", "chas", "nox", "rm", "age", "dis", "rad", "tax", "ptratio", "b", "lstat")
FEATURES = tuple(name for name in NAMES if name not in {"b", "rad"})


def load() -> Iterator[Row]:
    """The 506 rows, in the package's order; ``row`` is the number of each, from 1."""
    try:
        from mlxtend.data import boston_housing_data  # noqa: PLC0415 - an extra
    except ImportError as error:
        message = "boston_housing must have the package mlxtend; got none; pip install mlxtend"
        raise SettingsError(message) from error
    features, prices = boston_housing_data()
    for number, (cells, price) in enumerate(zip(features, prices, strict=True), 1):
        named = {name: f"{float(cell):g}" for name, cell in zip(NAMES, cells, strict=True)}
        yield {"row": str(number), **named, "medv": f"{float(price):g}"}


DATASET = Dataset(
    name="boston_housing",
    task="regression",
    target="medv",
    key=("row",),
    columns=(
        Column("row", "text"),
        *(Column(name, "category" if name == "rad" else "number", required=name in {"rm", "lstat"}) for name in NAMES),
        Column("medv", "number", minimum=0, maximum=50),
    ),
    numeric={**{name: name for name in FEATURES}, "log_lstat": "ln(1 + lstat)", "log_crim": "ln(1 + crim)"},
    one_hot=("rad",),
    log_target=True,
    load=load,
)
