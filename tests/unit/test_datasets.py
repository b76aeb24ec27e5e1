"""Datasets are found by their file, check themselves, and one is added as docs/add-a-dataset.md says."""

import re
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from apps import datasets
from apps.common.errors import SettingsError
from apps.datasets.declaration import Column

PAGE = Path(__file__).parents[2] / "docs" / "add-a-dataset.md"


def test_the_datasets_that_ship():
    """Two datasets ship, and the modules beside them are none."""
    assert datasets.names() == ["boston_housing", "used_cars"]


def test_an_unknown_dataset_is_refused_by_name():
    """A wrong name is answered with the right ones."""
    with pytest.raises(SettingsError, match="must be one of boston_housing, used_cars; got 'source'"):
        datasets.get("source")


def test_a_declaration_tells_all_its_problems():
    """A target that is no column, a repeated column and rows from nowhere are reported together."""
    with pytest.raises(ValueError, match="'cost' must be a column") as refused:
        replace(datasets.get("boston_housing"), target="cost", columns=(Column("rm"), Column("rm")), load=None)

    assert "column names must differ" in str(refused.value)
    assert "exactly one of generate and load" in str(refused.value)


def test_boston_housing_is_the_real_set():
    """It has 506 different rows of 14 columns, the first and the last price as published, and none breaks a limit."""
    boston = datasets.get("boston_housing")
    rows = list(boston.load())

    assert len({tuple(row[name] for name in boston.key) for row in rows}) == len(rows) == 506
    assert {tuple(row) for row in rows} == {boston.column_names}
    assert (rows[0]["crim"], rows[0]["medv"], rows[-1]["medv"]) == ("0.00632", "24", "11.9")
    assert all(c.minimum <= float(row[c.name]) <= c.maximum for row in rows for c in boston.columns)


def test_boston_housing_without_its_package_says_what_to_install(monkeypatch):
    """Without mlxtend the error names the command."""
    monkeypatch.setitem(sys.modules, "mlxtend.data", None)

    with pytest.raises(SettingsError, match="pip install mlxtend"):
        next(datasets.get("boston_housing").load())


@pytest.fixture
def added(tmp_path, monkeypatch):
    """The dataset of the page's example, added as the page says: one file beside the others."""
    (example,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    name = re.search(r"`apps/datasets/(\w+)\.py`\.\n", PAGE.read_text(encoding="utf-8"))[1]
    (tmp_path / f"{name}.py").write_text(example, encoding="utf-8")
    monkeypatch.setattr(datasets, "__path__", [*datasets.__path__, str(tmp_path)])
    yield name
    sys.modules.pop(f"apps.datasets.{name}", None)


def test_the_page_adds_a_dataset_with_one_file(added):
    """The page's example is found by its name, and its rows fit what it declares."""
    dataset = datasets.get(added)
    rows = list(dataset.generate(2000, 1, 0.0))
    numbers = [column for column in dataset.columns if column.kind == "number"]
    cells = [(column, row[column.name]) for row in rows for column in numbers if row[column.name] not in column.nulls]
    read = [(column, float(re.fullmatch(column.pattern or "(.*)", cell)[1])) for column, cell in cells]

    assert (dataset.name, dataset.task, added in datasets.names()) == (added, "binary", True)
    assert {tuple(row) for row in rows} == {dataset.column_names}
    assert all(column.minimum <= value <= column.maximum for column, value in read)
    assert len({row["application"] for row in rows}) == 2000
    assert 0.25 <= Counter(row["approved"] for row in rows)["True"] / 2000 <= 0.75
    assert list(dataset.generate(2000, 1, 0.0)) == rows
    assert f"./baton demo --dataset {added}" in PAGE.read_text(encoding="utf-8")
