"""The manifest: what identifies a batch, and what is refused at the door."""

import hashlib
import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.common.errors import BatchRefused
from apps.common.manifest import Manifest, Part, describe_part, schema_hash

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
