"""The manifest: what identifies a batch, and what is refused at the door."""

import hashlib
import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.common.errors import BatchRefused
from apps.common.manifest import Manifest, Part, describe_part, oldest_first, schema_hash

GOOD = Manifest("cars", 2, "abc", "2026-01-01T00:00:00Z", (Part("a.csv", 1, "1" * 64), Part("b.csv", 2, "2" * 64)))


def test_a_manifest_reads_back_as_it_was_written():
    """
    Writing and reading gives the same manifest, and nothing is wrong with it.
    """
    assert Manifest.from_json(GOOD.to_json()) == GOOD
    assert [] == GOOD.problems("cars")


def test_equal_content_has_an_equal_hash_whatever_things_are_called():
    """
    Names, order, letter case and time do not matter; one other byte does.
    """
    renamed = replace(GOOD, created="later", parts=(Part("x.csv", 2, "2" * 64), Part("y.csv", 1, "1" * 64)))
    upper = replace(GOOD, parts=(Part("a.csv", 1, "A" * 64),))
    lower = replace(GOOD, parts=(Part("a.csv", 1, "a" * 64),))

    assert GOOD.content_hash == renamed.content_hash
    assert upper.content_hash == lower.content_hash
    assert GOOD.content_hash != replace(GOOD, parts=GOOD.parts[:1]).content_hash


def test_all_that_is_missing_is_named_at_once():
    """
    A person who writes a manifest by hand learns of every problem the first time.
    """
    raw = json.loads(GOOD.to_json())
    del raw["rows"], raw["parts"][0]["sha256"]
    raw["created"] = None

    with pytest.raises(BatchRefused) as caught:
        Manifest.from_json(json.dumps(raw))

    assert all(place in str(caught.value) for place in ("rows", "parts.0.sha256", "created"))


@given(st.one_of(st.binary(), st.text()))
def test_whatever_lies_there_as_manifest_is_refused_and_breaks_nothing(text):
    """
    Any bytes are a manifest or refused.
    """
    with pytest.raises(BatchRefused):
        Manifest.from_json(text)


@pytest.mark.parametrize("text", ["[" * 100_000, '{"rows": 1e999}', "NaN", '"a"', '{"parts": "abc"}'])
def test_hostile_json_is_refused(text):
    """
    Deep nesting, infinity and wrong types do not crash the watcher.
    """
    with pytest.raises(BatchRefused):
        Manifest.from_json(text)


def test_the_schema_hash_depends_on_names_and_order():
    """
    Two headers agree only when they are equal, also where joined names look alike.
    """
    assert schema_hash(("a", "b")) == schema_hash(("a", "b"))
    assert 4 == len({schema_hash(columns) for columns in [("a", "b"), ("b", "a"), ("ab",), ("a", "b", "c")]})


def test_a_part_is_measured_as_it_lies_on_disk(tmp_path):
    """
    Name, length and sha256 are those of the file.
    """
    (tmp_path / "part-0001.csv").write_bytes(b"a,b\n1,2\n")

    assert Part("part-0001.csv", 8, hashlib.sha256(b"a,b\n1,2\n").hexdigest()) == describe_part(
        tmp_path / "part-0001.csv"
    )


def came(number=0, created="2026-01-01T00:00:00Z", content="1"):
    """The manifest of a batch that came then."""
    return replace(GOOD, number=number, created=created, parts=(Part("a.csv", 1, content * 64),))


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        ("used_cars-0001-june", "used_cars-0002-july"),
        ("used_cars-0001-prices", "used_cars-0002-corrected-prices"),
        ("june", "july"),
        ("prices", "corrected-prices"),
        ("used_cars-2", "used_cars-10"),
    ],
)
def test_the_order_of_batches_is_that_of_their_numbers_whatever_they_are_called(older, newer):
    """
    A number decides, though the names would sort the other way.
    """
    batches = {older: came(2), newer: came(10)}

    assert [older, newer] == oldest_first(batches)
    assert [older, newer] == oldest_first(dict(reversed(batches.items())))


def test_no_clock_decides_between_two_numbers():
    """
    A machine whose clock is a year ahead, and two batches of one second, do not change the order.
    """
    ahead = {"a": came(3), "b": came(2, created="2027-01-01T00:00:00Z"), "c": came(1)}

    assert ["c", "b", "a"] == oldest_first(ahead)


def test_a_batch_without_a_number_comes_behind_those_created_before_it():
    """
    One that a person put together takes its place by the time that it names, in whatever zone, with or without one.
    """
    batches = {
        "c": came(1, created="2026-06-01T12:00:00Z"),
        "b": came(2, created="2026-06-03T12:00:00Z"),
        "by-hand": came(created="2026-06-02T23:00:00+09:00"),
        "a": came(created="2026-06-04"),
    }

    assert ["c", "by-hand", "b", "a"] == oldest_first(batches)


def test_batches_from_before_there_were_numbers_come_first_in_the_order_of_their_time():
    """
    What was used long ago is older than whatever has a number since, and one that names no time is the oldest.
    """
    old = {"z": came(created="2025-01-01T00:00:00Z"), "y": came(created="2025-02-01T00:00:00Z")}
    batches = {"x": came(5, created="2026-01-01T00:00:00Z"), **old, "w": came(created="long ago")}

    assert ["w", "z", "y", "x"] == oldest_first(batches)


def test_batches_that_two_droppers_numbered_alike_go_by_time_and_then_by_content():
    """
    Equal numbers are a race of two droppers: their clocks decide, and where these are equal the content, never names.
    """
    later = "2026-01-01T00:00:01Z"
    batches = {"a": came(7, created=later), "b": came(7, content="2"), "c": came(7, content="3")}
    renamed = {"c": batches["a"], "a": batches["b"], "b": batches["c"]}

    assert "a" == oldest_first(batches)[-1]
    assert [batches[name] for name in oldest_first(batches)] == [renamed[name] for name in oldest_first(renamed)]


@given(st.dictionaries(st.text(), st.tuples(st.integers(0, 5), st.text() | st.datetimes().map(str)), max_size=6))
def test_there_is_one_order_of_any_batches(told):
    """
    Whatever manifests say, the order has each batch once, and numbers only grow in it.
    """
    batches = {
        name: came(number, created, format(place, "x")) for place, (name, (number, created)) in enumerate(told.items())
    }
    order = oldest_first(batches)
    numbers = [batches[name].number for name in order if batches[name].number]

    assert sorted(batches) == sorted(order)
    assert sorted(numbers) == numbers
    assert order == oldest_first(dict(reversed(batches.items())))


def test_a_batch_must_say_where_its_place_is():
    """
    A number, or a time that can be read: one of the two, and no number below zero.
    """
    assert [] == came(1, created="June").problems("cars")
    assert "created must be a time as" in came(created="June").problems("cars")[0]
    assert "number must be at least 0; got -1" in came(-1).problems("cars")[0]


def test_a_manifest_from_before_there_were_numbers_is_read():
    """
    What was used long ago stays readable: its number is none.
    """
    raw = json.loads(GOOD.to_json())
    del raw["number"]

    assert Manifest.from_json(json.dumps(raw)) == GOOD
