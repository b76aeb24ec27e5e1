"""How dropped batches are named and numbered."""

from pathlib import Path

import pytest

from apps.batch_dropper.dropping import name_for, number_in, slices_among


def test_slices_are_told_from_other_batches_by_their_names():
    """
    Only the dataset's own slices count, and once, also when they were refused for the second time.
    """
    names = ["toys-0001", "toys-0003", "toys-0003.2", "toys-mine", "toys-0004-mine", "other-0002", "toys-10000"]

    assert {1, 3, 10000} == slices_among("toys", names)


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("toys-0007", 7),
        ("toys-0007.2", 7),
        ("toys-0007-june", 7),
        ("toys-12345-june", 12345),
        ("toys-007", 0),
        ("toys-2026june", 0),
        ("toys-june-0007", 0),
        ("other-0007", 0),
    ],
)
def test_the_number_of_a_batch_is_read_from_a_name_that_the_dropper_gave(name, number):
    """
    Slices and files have it; a name that a person chose has none, whatever digits are in it.
    """
    assert number == number_in("toys", name)


def test_a_persons_file_gets_a_new_name_with_its_number(tmp_path):
    """
    It says which file it was, and never takes a name twice.
    """
    file = tmp_path / "My Cars (2).csv"
    names = {"toys-0001", "toys-0002"}

    first = name_for("toys", 3, file, names)
    second = name_for("toys", 3, file, {*names, first})

    assert ["toys-0003-My-Cars-2", "toys-0003-My-Cars-2-2"] == [first, second]
    assert {"toys-0003-cars"} == {name_for("toys", 3, Path(f"cars{ending}"), names) for ending in (".csv.gz", ".zip")}
