"""How dropped batches are named and numbered."""

from pathlib import Path

from apps.batch_dropper.dropping import name_for, numbers


def test_slice_numbers_are_read_from_batch_names():
    """
    Only the dataset's own slices count, also when they were refused for the second time.
    """
    names = ["toys-0001", "toys-0003.2", "toys-mine", "toys-0004-mine", "other-0002", "toys-00005"]

    assert {1, 3} == numbers("toys", names)


def test_a_persons_file_gets_a_new_name_behind_those_that_are_there(tmp_path):
    """
    It sorts after the newest slice and before the next, and never takes a name twice.
    """
    file = tmp_path / "My Cars (2).csv"
    names = {"toys-0001", "toys-0002"}

    first = name_for("toys", file, names)
    second = name_for("toys", file, {*names, first})

    assert ["toys-0002-My-Cars-2", "toys-0002-My-Cars-2-2"] == [first, second]
    assert {"toys-0002-cars"} == {name_for("toys", Path(f"cars{ending}"), names) for ending in (".csv.gz", ".zip")}
    assert ["toys-0002", first, "toys-0003"] == sorted(["toys-0003", first, "toys-0002"])
