"""What bench cache makes of the answers it got, and of a server that is none of ours."""

import asyncio
import random
from collections import Counter

import pytest

from stack.cli.bench.cache import HttpAnswer, HttpSender, body_of, summed, zipf


def test_hits_misses_and_failures_are_told_apart_and_the_warm_up_left_out():
    """
    Of those that were due in time.
    """
    answers = [
        HttpAnswer(1, 900, 200, cached=False),
        HttpAnswer(10, 2, 200, cached=True),
        HttpAnswer(11, 4, 200, cached=True),
        HttpAnswer(12, 8, 200, cached=False),
        HttpAnswer(13, 1, 503, cached=False),
    ]

    run = summed(answers, 10)

    assert (4, 1, 2) == (run.asked, run.failed, run.hits)
    assert (4, 8, 8) == (run.of_hits.worst_ms, run.of_misses.worst_ms, run.of_all.worst_ms)


def test_the_first_row_is_asked_twice_as_often_as_the_second():
    """
    By Zipf's law with exponent 1; with 0 each is asked as often.
    """
    drawn = Counter(random.Random(3).choices(range(3), cum_weights=zipf(3, 1), k=11_000))

    assert 6000 == pytest.approx(drawn[0], rel=0.1)
    assert 3000 == pytest.approx(drawn[1], rel=0.1)
    assert [1, 2, 3] == zipf(3, 0)


def test_each_request_is_sent_and_what_breaks_is_a_failure():
    """
    On connections that stay; one that the server closes is made anew.
    """
    seen = []

    async def serve(reader, writer):
        while head := await reader.readuntil(b"\r\n\r\n"):
            length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            seen.append(await reader.readexactly(length))
            if len(seen) == 5:
                writer.close()
                return
            told = b'{"parameters": {"cached": 1}}'
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(told), told))

    async def run():
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        sender = HttpSender(f"http://127.0.0.1:{port}/v2/models/m/infer", [body_of({"year": "2017"})], [1.0])
        await sender.run(200, 0.1)
        server.close()
        return sender.answers

    answers = asyncio.run(run())

    assert 20 == len(answers) == len(seen)
    assert Counter({200: 19, 0: 1}) == Counter(one.status for one in answers)
    assert 19 == sum(one.cached for one in answers)
