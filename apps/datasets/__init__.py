"""One module per dataset; ``get`` finds it by name, so that adding a file adds a dataset."""

import importlib
import pkgutil

from apps.common.errors import SettingsError
from apps.datasets.declaration import Dataset

NOT_DATASETS = {"declaration", "guessing", "opening", "source"}
SHIPPED = {"boston_housing", "used_cars"}  # Baton's own


def names() -> list[str]:
    """The names of all datasets: the modules of this folder that declare one."""
    found = (module.name for module in pkgutil.iter_modules(__path__))
    return sorted(name for name in found if name not in NOT_DATASETS and not name.startswith("_"))


def get(name: str) -> Dataset:
    """Return the dataset declared in ``apps/datasets/<name>.py`` as ``DATASET``."""
    if name not in names():
        known = f"the dataset must be one of {', '.join(names())}; got {name!r}"
        raise SettingsError(f"{known}; make one of your file: ./baton datasets new FILE.csv --target COLUMN")
    dataset: Dataset = importlib.import_module(f"{__name__}.{name}").DATASET
    return dataset
