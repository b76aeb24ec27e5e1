"""Datasets are found by their file, check themselves, and one is added as docs/add-a-dataset.md says."""

import re
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from pandas._libs.parsers import STR_NA_VALUES  # type: ignore[import-not-found] # what pandas' own documentation lists under na_values

from apps import datasets
from apps.common.errors import SettingsError
from apps.datasets.declaration import MISSING_WORDS, Column, Dataset

PAGE = Path(__file__).parents[2] / "docs" / "add-a-dataset.md"


def test_the_datasets_that_ship():
    """Two datasets ship, and the modules beside them are none; a person's own may be there too."""
    assert datasets.SHIPPED == {"boston_housing", "used_cars"} & {*datasets.names()}
    assert not {*datasets.names()} & datasets.NOT_DATASETS
    assert all(isinstance(datasets.get(name), Dataset) for name in datasets.names())


def test_an_unknown_dataset_is_refused_by_name():
    """A wrong name is answered with the right ones."""
    with pytest.raises(SettingsError, match=r"must be one of .*boston_housing, .*used_cars.*; got 'source'"):
        datasets.get("source")


def test_a_declaration_tells_all_its_problems():
    """A target that is no column, a repeated column and rows from two places are reported together."""
    with pytest.raises(ValueError, match="'cost' must be a column") as refused:
        replace(datasets.get("boston_housing"), target="cost", columns=(Column("rm"), Column("rm")), generate=print)

    assert "column names must differ" in str(refused.value)
    assert "at most one of generate and load" in str(refused.value)


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


def test_what_pandas_takes_for_missing_is_missing_here():
    """The words are those of pandas' read_csv, so that a table that passed through pandas means the same here."""
    assert set(MISSING_WORDS) == STR_NA_VALUES


def test_a_column_adds_to_the_missing_words_and_takes_from_them():
    """``nulls`` come on top, ``keep`` makes a word a value."""
    assert set(Column("a", nulls=("--",)).missing) == {*MISSING_WORDS, "--"}
    assert set(Column("a", keep=("NA", "None")).missing) == {*MISSING_WORDS} - {"NA", "None"}


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (Column("rm", keep=("",)), "column rm: keep must not hold the empty text"),
        (Column("rm", nulls=("x",), keep=("x",)), "a text must be in nulls or in keep; got 'x' in both"),
        (Column("rm", "number", words=("1", "0")), "words must be those of a flag; got a number"),
        (Column("rm", "flag", words=("Yes", "yes")), "words must be two that differ and are not missing"),
        (Column("rm", "flag", words=("Yes", "NA")), "words must be two that differ and are not missing"),
    ],
)
def test_a_column_that_contradicts_itself_is_refused(column, message):
    """The declaration says what is wrong with it before any row is read."""
    boston = datasets.get("boston_housing")

    with pytest.raises(ValueError, match=message):
        replace(boston, target="rm", key=("rm",), columns=(column,))
