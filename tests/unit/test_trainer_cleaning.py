"""The first stage's SQL: what it reads, how it quotes, and the rules that need no Spark to be checked."""

import dataclasses

import pytest

from apps.common.errors import SettingsError
from apps.common.sql_text import literal, quoted
from apps.datasets.declaration import Column, Dataset
from apps.trainer.cleaning import double, input_columns, request_sql, training_sql

SHIRTS = Dataset(
    name="shirts",
    task="regression",
    target="price",
    key=("code",),
    columns=(
        Column("code", "text"),
        Column("shop", "text", required=True),
        Column("Size", "number", pattern="([0-9.]+) cm", minimum=1.0, maximum=200.0),
        Column("colour", "category"),
        Column("label", "category"),
        Column("note", "text"),
        Column("price", "number", minimum=0),
    ),
    numeric={"area": "size * size", "is_note": "CASE WHEN colour = 'note' THEN 1 ELSE 0 END"},
    one_hot=("colour",),
    target_encoded=("colour", "label"),
    load=lambda: iter(()),
)


def test_a_request_is_read_for_the_columns_that_features_name_and_those_required():
    """A column is an input when a feature names it in any case, or when it is required; text in quotes is no name."""
    assert input_columns(SHIRTS) == ("shop", "Size", "colour", "label")


@pytest.mark.parametrize("change", [{"numeric": {"cheat": "ln(`price`)"}}, {"one_hot": ("price",)}])
def test_a_feature_made_of_the_target_is_refused(change):
    """A model that reads its own answer is no model."""
    with pytest.raises(SettingsError, match="must not use the target"):
        input_columns(dataclasses.replace(SHIRTS, **change))


def test_quoting_keeps_quotes_and_backslashes():
    """A name or a pattern with quotes and backslashes stays what it is inside SQL."""
    assert quoted("a`b") == "`a``b`"
    assert literal(r"it's \d") == r"'it\'s \\d'"
    assert double(0.1) == "0.1D"


def test_a_request_never_needs_the_target_and_a_training_row_does():
    """The request's stage leaves the target alone; the training row's stage demands it, and its key."""
    assert "`price`" not in request_sql(SHIRTS)
    assert "price must be given" in training_sql(SHIRTS)
    assert "code must be given" in training_sql(SHIRTS)


def test_a_rule_reads_as_a_sentence():
    """The rule of a number names its bounds without a needless fraction, and the form it is written in."""
    assert "Size must be a number 1-200 written as \\'([0-9.]+) cm\\'; got " in request_sql(SHIRTS)
    assert "price must be a number of at least 0; got " in training_sql(SHIRTS)


def test_a_flag_is_asked_for_by_its_own_words():
    """The rule of a flag names the words that it was declared with."""
    told = dataclasses.replace(
        SHIRTS, columns=(*SHIRTS.columns, Column("sale", "flag", words=("Yes", "No"), required=True))
    )

    assert "sale must be Yes or No; got " in request_sql(told)
