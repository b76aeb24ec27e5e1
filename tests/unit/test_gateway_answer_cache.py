"""What is found again, and what never is."""

import asyncio
import json

import pytest

from apps.common import read_columns
from apps.common.messages import Answer, decode_answer, decode_cached
from apps.common.names import StackNames
from apps.gateway.answer_cache import AnswerCache
from apps.gateway.cache_store import Missed

NAMES = StackNames("baton", "flats")
DECLARED = ("area", "town", "note", "Area2")
READS = read_columns.told(("area", "town"), DECLARED)


class StoreByHand:
    """A dictionary; ``failing`` is why nothing can be had of it."""

    def __init__(self):
        """Nothing is kept."""
        self.entries, self.failing, self.unkept = {}, "", {}

    async def get(self, keys):
        """As the real one."""
        if self.failing:
            raise Missed(self.failing)
        return [self.entries.get(key) for key in keys]

    def put(self, key, value):
        """As the real one."""
        self.entries[key] = value


def answer(prediction=5.5, rejection=None, *, release=7, version="3", manifest="0a1b", reads=READS, model=NAMES.model):
    """A server's answer."""
    return Answer(
        "a", 0, 0, version, release, prediction, rejection, 0.0, 1, model=model, manifest=manifest, reads=reads
    )


def row(**fields):
    """A request's value."""
    return json.dumps(fields).encode()


@pytest.fixture
def store():
    """Where entries are kept."""
    return StoreByHand()


@pytest.fixture
def cache(store):
    """A cache that has seen an answer of release 7."""
    one = AnswerCache(NAMES, DECLARED, store)
    one.note(answer())
    return one


def looked_up(cache, *values):
    """What is found of rows."""
    return asyncio.run(cache.find(values))


def keep(cache, value, given):
    """Look a row up, and keep what a server answers."""
    (sought,) = looked_up(cache, value)
    if sought:
        cache.keep(sought, given)


def found(cache, value):
    """The prediction that is found for a row."""
    (sought,) = looked_up(cache, value)
    given = cache.answer("b", b"what", sought) if sought else None
    return given.prediction if given else None


def test_a_row_is_found_by_what_the_version_reads_of_it(cache):
    """
    The order of the fields does not matter, nor does what the version does not read; any field that it reads does.
    """
    keep(cache, row(area=50, town="north", note="sunny"), answer())

    assert 5.5 == found(cache, row(town="north", note="dark", area=50))
    assert 5.5 == found(cache, row(town="north", area=50))
    for other in (row(area=51, town="north"), row(area="50", town="north"), row(area=50), row(town="north")):
        assert found(cache, other) is None
    assert {"absent": 5} == cache.misses
    assert 2 == cache.hits


@pytest.mark.parametrize(
    "value",
    [
        row(area=50, colour="red"),
        row(note="sunny"),
        row(),
        b'{"area": 50, "note": "\\ud800"}',
        b'{"area": 50, "note": 1%s}' % (b"0" * 400),
    ],
)
def test_a_row_that_a_server_may_judge_otherwise_is_never_kept(cache, store, value):
    """
    A field that nobody declared, none that is read, a text or a number for which the whole row may be no JSON to it.
    """
    keep(cache, value, answer())

    assert {} == store.entries
    assert {"unusual": 1} == cache.misses


@pytest.mark.parametrize(
    "given",
    [
        answer(None, "area must be given"),
        answer(float("nan")),
        answer(True),
        answer("5"),
        answer(release=6),
        answer(manifest="ffff"),
    ],
)
def test_only_predictions_of_the_release_that_was_looked_for_are_kept(cache, store, given):
    """
    No rejection, no number that is none, and nothing of another release or of other files.
    """
    keep(cache, row(area=50), given)

    assert {} == store.entries


def test_a_new_release_makes_what_was_kept_unreachable(cache):
    """
    From its first answer on; what is found of the old one at the same moment is not given, and an older release's late
    answer brings nothing back.
    """
    keep(cache, row(area=50), answer())
    (sought,) = looked_up(cache, row(area=50))
    cache.note(answer(release=8, version="4"))

    assert cache.answer("b", b"what", sought) is None
    assert {"absent": 1, "overtaken": 1} == cache.misses
    cache.note(answer(release=7))
    assert found(cache, row(area=50)) is None
    keep(cache, row(area=50), answer(9.0, release=8, version="4"))
    assert 9.0 == found(cache, row(area=50))


def test_wrong_bytes_are_a_miss(cache, store):
    """
    Cut, altered, empty, of another key, or anything else.
    """
    keep(cache, row(area=50), answer())
    keep(cache, row(area=60), answer(6.5))
    (key, entry), (_, other) = store.entries.items()
    wrong = [other, entry[:-1], entry.replace(b"5.5", b"5.6"), b"", b"\xff" * 40, entry + b" ", b"5.5", b"x" * 10**6]
    for one in wrong:
        store.entries[key] = one
        assert found(cache, row(area=50)) is None

    assert len(wrong) == cache.misses["wrong"]
    store.entries[key] = entry
    assert 5.5 == found(cache, row(area=50))


def test_a_cache_that_fails_is_a_miss_and_says_why(cache, store):
    """
    Whatever the reason; what a server answers then is offered all the same.
    """
    store.failing = "slow"
    keep(cache, row(area=50), answer())

    assert {"slow": 1} == cache.misses
    assert 1 == len(store.entries)


@pytest.mark.parametrize("reads", [None, "", "zz", read_columns.told(("area",), ("area", "town"))])
def test_nothing_is_looked_up_where_nobody_knows_what_the_version_reads(store, reads):
    """
    An older server does not say so; a version that was trained on other columns says it in other terms.
    """
    cache = AnswerCache(NAMES, DECLARED, store)
    assert [None] == looked_up(cache, row(area=50))
    cache.note(answer(reads=reads))

    assert [None, None] == looked_up(cache, row(area=50), row(area=51))
    assert {"columns": 3} == cache.misses


def test_another_models_answer_changes_nothing(cache):
    """
    Its release is another stack's.
    """
    cache.note(answer(release=99, model="other.flats"))

    assert 7 == cache.newest.release


def test_what_is_given_is_read_as_a_cached_answer_and_as_no_other(cache):
    """
    It names who computed it and what was asked, and stands at no request's position.
    """
    keep(cache, row(area=50), answer())
    (sought,) = looked_up(cache, row(area=50))
    given = cache.answer("b", b"\x01\x02", sought)
    headers = [(name, text.encode()) for name, text in given.headers().items()]

    assert given == decode_cached(b"b", given.value(), headers)
    assert ("3", 7, "0a1b", b"\x01\x02") == (given.model_version, given.release, given.manifest, given.asked)
    assert decode_answer(b"b", given.value(), headers, 0.0) is None
    for broken in (headers[:-1], [*headers, ("in_offset", b"1")], [*headers, ("cached", b"xyz")]):
        assert decode_cached(b"b", given.value(), broken) is None
    for value in (b"", b"{}", b"[1]", b'{"prediction": null}', b'{"prediction": true}', b'{"prediction": NaN}', None):
        assert decode_cached(b"b", value, headers) is None


def test_columns_that_differ_in_case_alone_are_read_together():
    """
    Spark does not tell them apart.
    """
    declared = ("Area", "area", "town")

    assert {"Area", "area"} == read_columns.read_columns(read_columns.told(("area",), declared), declared)
    assert "" == read_columns.told(("missing",), declared)
