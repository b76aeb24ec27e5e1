"""One request for each id, one answer for each request, whoever asks and however often."""

import asyncio

import pytest

from apps.common.messages import MAX_KEY_BYTES, PROBE_PREFIX
from apps.gateway.asking import SeenAnswer, request_id_of
from apps.gateway.turned_away import TurnedAway
from tests.unit.gateway_by_hand import NOW_MS, LogByHand, answer, settings, told_of


@pytest.fixture
def log(tmp_path):
    """A log that answers at once."""
    return LogByHand(settings(tmp_path, timeout_s=0.3, in_flight=4))


def run(*asked):
    """What these coroutines return or raise, side by side."""

    async def together():
        return await asyncio.gather(*asked, return_exceptions=True)

    return asyncio.run(together())


def predictions(rows):
    """What a client is told."""
    return [row.reply.prediction for row in rows]


def test_a_row_has_the_id_and_several_have_its_parts(log):
    """
    One row is asked by the id of its client, row i of several by id/i.
    """
    one, several = run(log.asking.ask("a", [b"x"]), log.asking.ask("b", [b"x", b"y"]))

    assert [5.5] == predictions(one)
    assert ["b/0", "b/1"] == [row.request_id for row in several]
    assert ["a", "b/0", "b/1"] == [request_id for request_id, _ in log.sent]
    assert 0 == log.asking.rows


def test_the_same_again_has_the_same_answer_and_asks_nothing_twice(log):
    """
    While it is under way, when it is answered, and although nothing serves any more.
    """
    first, second = run(log.asking.ask("a", [b"x"]), log.asking.ask("a", [b"x"]))
    log.asking.unread.add(("t", 0))
    (third,) = run(log.asking.ask("a", [b"x"]))

    assert first == second == third
    assert 1 == len(log.sent)


@pytest.mark.parametrize(("before", "after"), [([b"x"], [b"y"]), ([b"x"], [b"x", b"x"]), ([b"x", b"y"], [b"x"])])
def test_the_same_id_with_another_body_is_a_conflict(log, before, after):
    """
    Another value, and another number of rows; at the same moment too.
    """
    (_, at_once) = run(log.asking.ask("a", before), log.asking.ask("a", after))
    (later,) = run(log.asking.ask("a", after))

    assert [409, 409] == [at_once.status, later.status]
    assert len(before) == len(log.sent)


def test_what_another_gateway_asked_is_not_asked_again(log):
    """
    A request in the log is waited for, whoever wrote it: a gateway that was killed reads it anew.
    """
    log.asking.take([told_of("a", b"x", 70)], [])

    async def answered_later():
        asked = asyncio.create_task(log.asking.ask("a", [b"x"]))
        await asyncio.sleep(0)
        log.asking.take([SeenAnswer(answer("a", 70, 9.0), NOW_MS)], [])
        return await asked

    assert [9.0] == predictions(asyncio.run(answered_later()))
    assert [] == log.sent


def test_of_two_gateways_that_ask_at_once_the_first_in_the_log_counts_for_both(log):
    """
    Its answer where the body is the same, a conflict where it is another.
    """

    async def overtaken(body):
        log.answering = False
        asked = asyncio.create_task(log.asking.ask(f"of {body}", [b"x"]))
        await asyncio.sleep(0)  # it was sent, and is not in the log yet
        log.asking.take([told_of(f"of {body}", body.encode(), 70)], [])
        await asyncio.sleep(0)
        log.asking.take([SeenAnswer(answer("a", 70, 9.0), NOW_MS)], [])
        return await asked

    same, other = (run(overtaken(body))[0] for body in ("x", "y"))
    assert [9.0] == predictions(same)
    assert 409 == other.status


def test_what_is_not_answered_in_time_is_told_by_its_ids_and_asked_about_later(log):
    """
    The request stands; the same again gets its answer once there is one.
    """
    log.answering = False
    (late,) = run(log.asking.ask("a", [b"x", b"y"]))
    assert (504, ["a/0", "a/1"]) == (late.status, late.told["ids"])
    assert "they stand in Kafka" in str(late)
    assert None is log.asking.state("a/0")

    log.answer_all()
    (again,) = run(log.asking.ask("a", [b"x", b"y"]))
    assert [5.5, 5.5] == predictions(again)
    assert 2 == len(log.sent)
    with pytest.raises(TurnedAway, match="id must be of a request of the last") as unknown:
        log.asking.state("b")
    assert 404 == unknown.value.status


def test_too_many_rows_are_turned_away(log):
    """
    At once when they never fit, for a while when others wait; nothing of them is sent.
    """
    log.answering = False
    first, second, third = run(
        log.asking.ask("a", [b"x"] * 3), log.asking.ask("b", [b"x"] * 2), log.asking.ask("c", [b"x"] * 5)
    )

    assert [504, 429, 413] == [first.status, second.status, third.status]
    assert "1" == second.headers["Retry-After"]
    assert 3 == len(log.sent)


def test_nothing_is_sent_while_no_answer_would_come(log):
    """
    It is 503 with the reason.
    """
    log.asking.unread.add(("t", 0))
    (refused,) = run(log.asking.ask("a", [b"x"]))

    assert 503 == refused.status
    assert "t must be read to the end first" in str(refused)
    assert [] == log.sent


@pytest.mark.parametrize("end", ["acknowledged", "refused"])
def test_nothing_is_ready_while_kafka_acknowledges_nothing(log, end):
    """
    Though it answers: what was handed over waits longer than an infer would, until Kafka has it or refuses it.
    """
    log.silent = True
    late, refused = [run(log.asking.ask(one, [b"x"]))[0] for one in ("a", "b")]
    assert (504, 503) == (late.status, refused.status)
    assert "Kafka has not acknowledged all of them" in str(late)
    assert "Kafka must take requests within 0.3 s" in str(refused)
    assert 1 == len(log.handed)

    if end == "acknowledged":
        log.handed[0]()
    else:
        log.asking._failed("a", "no room")  # noqa: SLF001 - as the sender calls it
    assert "" == log.asking.waits_for()
    assert {"acknowledged": None, "refused": 404}[end] == state_of(log, "a")


def state_of(log, request_id):
    """What is told of a request: the status of a refusal, or None while it waits."""
    try:
        return log.asking.state(request_id)
    except TurnedAway as unknown:
        return unknown.status


def test_a_request_that_kafka_refuses_may_be_sent_again(log):
    """
    It never reached the log, so its id is free.
    """
    log.refusal = "no room"
    (refused,) = run(log.asking.ask("a", [b"x"]))
    log.refusal = ""
    (taken,) = run(log.asking.ask("a", [b"other"]))

    assert (503, True) == (refused.status, "got no room" in str(refused))
    assert [5.5] == predictions(taken)


def test_an_id_is_the_first_that_was_given_or_drawn():
    """
    None that no key may be, and none of a probe.
    """
    assert "a" == request_id_of(None, "", "a", "b")
    assert 2 == len({request_id_of(None), request_id_of("")})
    for odd in ("k" * MAX_KEY_BYTES, "\ud800", f"{PROBE_PREFIX}1"):
        with pytest.raises(TurnedAway, match="id must be at most"):
            request_id_of(odd)


def test_a_gateway_that_knows_of_no_answer_asks_for_one(log):
    """
    By the key of a probe, once it is told to.
    """

    async def probe():
        log.asking.probe()

    asyncio.run(probe())

    assert log.sent[0][0].startswith(f"{PROBE_PREFIX}gateway-")
