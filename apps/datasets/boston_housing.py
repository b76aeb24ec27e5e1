"""
Boston housing: the 506 real rows of 1978, so that the whole loop runs on real data in no time.

The rows come from the package mlxtend. Column ``b`` encodes the share of Black residents, for which other libraries
dropped the set: it is one of the 14 columns and no feature here.
"""

from collections.abc import Iterator

from apps.common.errors import SettingsError
from apps.datasets.declaration import Column, Dataset, Row

NAMES = ("crim", "zn", "indus", "chas", "nox", "rm", "age", "dis", "rad", "tax", "ptratio", "b", "lstat")
FEATURES = ("crim", "zn", "indus", "chas", "nox", "rm", "age", "dis", "rad", "tax", "ptratio", "lstat")


def load() -> Iterator[Row]:
    """Yield the 506 rows in the package's order, with the 14 columns of the file."""
    try:
        from mlxtend.data import boston_housing_data  # noqa: PLC0415 - an extra that nobody else needs
    except ImportError as error:
        raise SettingsError(
            "boston_housing must have mlxtend installed; got no such package; pip install mlxtend"
        ) from error
    tracts, prices = boston_housing_data()
    for tract, price in zip(tracts.tolist(), prices.tolist(), strict=True):
        yield dict(zip((*NAMES, "medv"), map(_cell, (*tract, price)), strict=True))


def _cell(value: float) -> str:
    return repr(value).removesuffix(".0")  # 18, as the file has it


DATASET = Dataset(
    name="boston_housing",
    task="regression",
    target="medv",
    key=NAMES,  # a tract has no name but what is known of it
    columns=(
        Column("crim", "number", minimum=0, maximum=1000),
        Column("zn", "number", minimum=0, maximum=100),
        Column("indus", "number", minimum=0, maximum=100),
        Column("chas", "number", minimum=0, maximum=1),
        Column("nox", "number", minimum=0, maximum=2),
        Column("rm", "number", required=True, minimum=1, maximum=20),
        Column("age", "number", minimum=0, maximum=100),
        Column("dis", "number", minimum=0, maximum=100),
        Column("rad", "number", minimum=1, maximum=24),
        Column("tax", "number", minimum=1, maximum=2000),
        Column("ptratio", "number", minimum=1, maximum=100),
        Column("b", "number", minimum=0, maximum=400),
        Column("lstat", "number", required=True, minimum=0, maximum=100),
        Column("medv", "number", minimum=1, maximum=50),  # in 1,000 dollars; capped at 50
    ),
    numeric={**{name: name for name in FEATURES}, "log_lstat": "ln(1 + lstat)", "log_crim": "ln(1 + crim)"},
    log_target=True,
    load=load,
)
