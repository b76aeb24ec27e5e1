"""An answer out of the cache is an answer like any other: one for each id, and none that came too late."""

import asyncio
import json

import pytest

from apps.common.messages import CachedAnswer
from apps.gateway.answer_cache import AnswerCache
from apps.gateway.asking import SeenAnswer, SeenCached
from apps.gateway.remembered import digest
from tests.unit.gateway_by_hand import DECLARED, NAMES, NOW_MS, LogByHand, answer, settings, told_of
from tests.unit.test_gateway_answer_cache import StoreByHand

VALUE = json.dumps({"rm": 6, "age": 50}).encode()
SAME = json.dumps({"age": 50, "rm": 6, "tax": 300}).encode()
OTHER = json.dumps({"rm": 7}).encode()


@pytest.fixture
def log(tmp_path):
    """A log that answers at once, and a cache that nothing is in."""
    return LogByHand(settings(tmp_path, timeout_s=0.3), AnswerCache(NAMES, DECLARED, StoreByHand()))


def ask(log, *asked):
    """What these ids with their values are answered, one after the other."""

    async def in_turn():
        return [await log.asking.ask(request_id, list(values)) for request_id, *values in asked]

    return [[row.reply for row in rows] for rows in asyncio.run(in_turn())]


def cached(request_id, value, release=7, prediction=4.5):
    """An answer that another gateway has given out of its cache."""
    return SeenCached(CachedAnswer(request_id, digest(value, b"1"), NAMES.model, "3", "", release, prediction), NOW_MS)


def test_what_was_asked_before_is_answered_without_a_server(log):
    """
    Only the first is sent; the answer names who computed it and is known by its id as any other is.
    """
    (first,), (second,), (third,), both = ask(log, ("a", VALUE), ("b", SAME), ("b", SAME), ("c", VALUE, OTHER))

    assert ["a", "c/1"] == [request_id for request_id, _ in log.sent]
    assert ["b", "c/0"] == [one.request_id for one in log.given]
    assert (first.prediction, "3", 7, False) == (second.prediction, second.version, second.release, first.cached)
    assert second == third == log.asking.state("b")
    assert [True, True, False] == [second.cached, both[0].cached, both[1].cached]
    with pytest.raises(Exception, match="an id must be of one request"):
        ask(log, ("b", OTHER))


def test_a_cached_answer_that_a_newer_release_has_overtaken_is_told_to_nobody(log):
    """
    It is on its way into the log when the new release answers somebody: then the server is asked after all.
    """

    async def overtaken():
        await log.asking.ask("a", [VALUE])
        log.slow = True
        asked = asyncio.create_task(log.asking.ask("b", [VALUE]))
        for _ in range(9):  # turns of the loop
            await asyncio.sleep(0)
        log.version, log.release = "4", 8
        log.asking.take([SeenAnswer(answer("other", 90, version="4", release=8), NOW_MS)], [])
        log.asking.take([SeenCached(log.given[0], NOW_MS)], [])
        return await asked

    (row,) = asyncio.run(overtaken())

    assert ("4", False) == (row.reply.version, row.reply.cached)
    assert ["b"] == log.anew
    assert "4" == log.asking.state("b").version


def test_what_is_read_at_the_start_was_told_then(log):
    """
    A gateway that begins anew believes the old release's cached answers, though it reads the new one's first; but not
    those of which a request in the log says that they came too late.
    """
    log.asking.unread.add(("t", 0))
    log.asking.take([SeenAnswer(answer("other", 90, version="4", release=8), NOW_MS)], [])
    log.asking.take([cached("told", VALUE), cached("late", VALUE)], [])
    late = told_of("late", VALUE, 91)
    log.asking.take([late.__class__(late.request_id, late.digest, late.position, late.timestamp, anew=True)], [])
    log.asking.take([SeenAnswer(answer("late", 91, 9.0, version="4", release=8), NOW_MS)], [("t", 0)])

    assert (4.5, "3") == (log.asking.state("told").prediction, log.asking.state("told").version)
    assert (9.0, "4") == (log.asking.state("late").prediction, log.asking.state("late").version)
    log.asking.take([cached("now", VALUE)], [])
    with pytest.raises(Exception, match="id must be of a request"):
        log.asking.state("now")


def test_of_a_request_and_a_cached_answer_the_first_in_the_log_counts(log):
    """
    Whichever gateway wrote either of them; another body is a conflict.
    """
    log.asking.take([told_of("asked", VALUE, 70), cached("asked", VALUE)], [])
    log.asking.take([cached("given", VALUE), told_of("given", VALUE, 71)], [])

    assert log.asking.state("asked") is None
    assert 4.5 == log.asking.state("given").prediction
    assert [[4.5]] == [[reply.prediction for reply in replies] for replies in ask(log, ("given", VALUE))]
    with pytest.raises(Exception, match="an id must be of one request"):
        ask(log, ("given", OTHER))


def test_two_bodies_of_one_id_meet_though_both_are_looked_up_first(log):
    """
    Between the look at an id and its request there is a look-up, in which another may come.
    """

    async def both():
        return await asyncio.gather(log.asking.ask("a", [VALUE]), log.asking.ask("a", [OTHER]), return_exceptions=True)

    log.asking.caching.cache._store.get = waiting  # noqa: SLF001 - a cache that takes its time
    first, second = asyncio.run(both())

    assert 5.5 == first[0].reply.prediction
    assert 409 == second.status
    assert 1 == len(log.sent)


async def waiting(keys):
    """As a store that must be waited for."""
    await asyncio.sleep(0.001)
    return [None] * len(keys)


def test_a_kafka_that_does_not_take_a_cached_answer_is_said(log):
    """
    As of a request: it is 503, and may come again.
    """
    ask(log, ("a", VALUE))
    object.__setattr__(log.asking.caching, "give", lambda _, failed, __: failed("no room"))

    with pytest.raises(Exception, match="Kafka must take the request; got no room"):
        ask(log, ("b", VALUE))
