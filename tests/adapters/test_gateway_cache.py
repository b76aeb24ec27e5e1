"""
The gateway with a cache: a real Valkey and a real broker, and whatever may befall the Valkey.

What answers are a few lines in this process, as in test_gateway.py, so that it is known what a server was asked.
"""

import random
import signal
import statistics
import threading
import time
from dataclasses import replace
from itertools import count

import pytest
from kafka import KafkaConsumer, TopicPartition
from redis import Redis

from apps import datasets
from apps.common import read_columns
from apps.common.messages import decode_cached
from apps.common.names import StackNames
from apps.common.waiting import wait_until
from stack.embedded.process import Child
from stack.embedded.services import cache as cache_specs
from stack.environment import HOST
from tests.adapters.conftest import free_context, is_ready
from tests.adapters.started_server import PARTITIONS, scraped
from tests.adapters.test_gateway import READY_S, AnsweringByHand, StartedGateway, gateways, make_topics, ready

NAMES = StackNames("gateway-cache", "boston_housing")
READS = read_columns.told(("rm",), datasets.get(NAMES.dataset).column_names)
IDS, RELEASES, ROOMS = count(), count(100), count(1000)


class AnsweringHere(AnsweringByHand):
    """What stands for a server of this module's stack."""

    names = NAMES


class GatewayHere(StartedGateway):
    """Its gateway."""

    names = NAMES


class ValkeyByHand:
    """Valkey as the embedded mode runs it, on a port of its own."""

    def __init__(self, folder):
        """Nothing runs yet."""
        self.context, self.child = free_context(folder), None
        self.address = self.context.service("cache").address_at(HOST)

    def start(self, memory="64m"):
        """Return when it answers."""
        spec = cache_specs.spec(self.context, {"BATON_CACHE_MEMORY": memory})
        environment = self.context.marked(spec.environment)
        self.child = Child.start(spec.command(), environment, self.context.log("cache"), spec.folder)
        wait_until(lambda: is_ready(spec), READY_S, f"valkey is not ready; see {self.context.log('cache')}")

    def entries(self):
        """What is in it."""
        with Redis.from_url(self.address) as client:
            return {key: client.get(key) for key in client.scan_iter()}

    def overwrite(self, make):
        """Put other bytes into each entry."""
        with Redis.from_url(self.address) as client:
            for key, value in self.entries().items():
                client.set(key, make(value))

    def end(self):
        """End it, whatever became of it."""
        if self.child:
            self.child.send(signal.SIGCONT)
            self.child.kill()


@pytest.fixture
def valkey(tmp_path):
    """A Valkey that runs."""
    one = ValkeyByHand(tmp_path)
    one.start()
    yield one
    one.end()


@pytest.fixture(scope="module")
def answering(kafka):
    """What stands for a server, and says what its version reads."""
    make_topics(kafka, NAMES)
    one = AnsweringHere(kafka, "100", next(RELEASES), READS)
    one.on.set()
    yield one
    one.end()


@pytest.fixture
def gateway(kafka, valkey, answering, tmp_path_factory):
    """A gateway that asks the cache; it has seen who answers."""
    with gateways(kafka, tmp_path_factory, GatewayHere, BATON_CACHE="on", BATON_CACHE_URL=valkey.address) as start:
        one = ready(start())
        assert 200 == one.infer("", 5).status_code  # whoever answered last before is known then
        wait_until(lambda: misses(one, "columns") + misses(one, "absent"), READY_S, one.describe)
        yield one


def misses(gateway, reason):
    """Rows that were looked up in vain."""
    return scraped(gateway.metrics).get(f'baton_gateway_cache_misses_total{{reason="{reason}"}}', 0)


def asked(gateway, room, request_id=None):
    """What a row is answered: prediction, and whether out of the cache. It must be answered."""
    told = gateway.infer(request_id or f"cache-{next(IDS)}", room)
    assert 200 == told.status_code, told.text
    body = told.json()
    return body["outputs"][0]["data"][0], "cached" in body["parameters"]


def kept(gateway, room):
    """Wait until a row is in the cache; the answer to it."""
    wait_until(lambda: asked(gateway, room)[1], READY_S, gateway.describe)
    return asked(gateway, room)


def cached_records(kafka):
    """Every cached answer in the topic, by its id."""
    consumer = KafkaConsumer(bootstrap_servers=kafka, group_id=None, enable_auto_commit=False)
    places = [TopicPartition(NAMES.answers, partition) for partition in PARTITIONS]
    consumer.assign(places)
    consumer.seek_to_beginning(*places)
    ends, found = consumer.end_offsets(places), []
    while any(consumer.position(place) < ends[place] for place in places):
        found += [decode_cached(r.key, r.value, r.headers) for rs in consumer.poll(timeout_ms=200).values() for r in rs]
    consumer.close()
    return {one.request_id: one for one in found if one}


def test_what_was_asked_before_is_answered_without_the_server_and_stands_in_the_topic(
    kafka, valkey, gateway, answering, tmp_path_factory
):
    """
    It names the version that computed it; after kill -9 another gateway, without a cache, knows the same answer to the
    same id, and another body as a conflict.
    """
    room = next(ROOMS)
    assert (room, False) == asked(gateway, room)
    wait_until(valkey.entries, READY_S, gateway.describe)
    kept(gateway, room)
    assert (room, True) == asked(gateway, room, "cache-hit")
    record = cached_records(kafka)["cache-hit"]
    assert ("100", answering.writer.release, room) == (record.model_version, record.release, record.prediction)
    first = gateway.infer("cache-hit", room).json()
    gateway.child.kill()

    with gateways(kafka, tmp_path_factory, GatewayHere) as start:
        second = ready(start())
        assert first == second.infer("cache-hit", room).json()
        told = second.call("GET", "/v1/answers/cache-hit").json()
        assert (room, True, "100") == (told["prediction"], told["cached"], told["model_version"])
        assert 409 == second.infer("cache-hit", room + 0.5).status_code
    assert "cache-hit" not in answering.asked


@pytest.mark.parametrize("fault", ["killed", "frozen", "full", "poisoned"])
def test_a_cache_that_is_away_frozen_full_or_wrong_is_a_miss_and_never_an_error(valkey, gateway, answering, fault):
    """
    Every answer is right and none is late, and the cache is used again once it is well.
    """
    room, rooms = next(ROOMS), [next(ROOMS) for _ in range(20)]
    kept(gateway, room)
    again = {
        "killed": lambda: (valkey.child.kill(), valkey.start),
        "frozen": lambda: (valkey.child.send(signal.SIGSTOP), lambda: valkey.child.send(signal.SIGCONT)),
        "full": lambda: (valkey.child.kill(), valkey.start("1m"), lambda: (valkey.child.kill(), valkey.start())),
        "poisoned": lambda: (valkey.overwrite(lambda value: value[:-1] + b"0}"), lambda: None),
    }[fault]()[-1]
    took = []
    for one in [room, *rooms] * 5:
        began = time.monotonic()
        assert one == asked(gateway, one)[0]
        took.append(time.monotonic() - began)
    if fault == "poisoned":
        wait_until(lambda: misses(gateway, "wrong"), READY_S, gateway.describe)
    if fault in ("killed", "frozen"):
        wait_until(lambda: misses(gateway, "away"), READY_S, gateway.describe)
        assert not asked(gateway, room)[1]
    again()

    assert (room, True) == kept(gateway, room)
    assert statistics.median(took) < 0.1


def test_a_frozen_cache_costs_a_few_look_ups_and_then_none(valkey, gateway):
    """
    As many as it has connections wait five milliseconds; after that nobody waits until it is back.
    """
    room = next(ROOMS)
    kept(gateway, room)
    slow = misses(gateway, "slow")
    valkey.child.send(signal.SIGSTOP)
    took = []
    for _ in range(50):
        began = time.monotonic()
        assert (room, False) == asked(gateway, room)
        took.append(time.monotonic() - began)
    wait_until(lambda: misses(gateway, "away") >= 40, READY_S, gateway.describe)

    assert misses(gateway, "slow") - slow <= 10
    assert max(took) < 0.5


def test_a_roll_out_gives_no_answer_of_the_old_version_after_the_first_of_the_new(gateway, answering):
    """
    Under a Zipf mix of requests, by several clients: whoever asks once somebody has the new version's answer gets it.
    """
    rooms = [next(ROOMS) for _ in range(200)]
    weights = [1 / (rank + 1) for rank in range(len(rooms))]
    over, told = threading.Event(), []

    def client(seed):
        draw = random.Random(seed)
        while not over.is_set():
            (room,) = draw.choices(rooms, weights)
            began = time.monotonic()
            prediction, cached = asked(gateway, room)
            told.append((began, time.monotonic(), prediction - room, cached))

    clients = [threading.Thread(target=client, args=(seed,)) for seed in range(4)]
    for one in clients:
        one.start()
    wait_until(lambda: sum(cached for *_, cached in told) > 300, READY_S, gateway.describe)
    answering.writer, answering.more = replace(answering.writer, version="101", release=next(RELEASES)), 10_000
    wait_until(lambda: sum(cached and more > 0 for *_, more, cached in told) > 300, READY_S, gateway.describe)
    over.set()
    for one in clients:
        one.join()
    answering.more = 0

    first = min(ended for _, ended, more, _ in told if more)
    assert {0, 10_000} == {more for _, _, more, _ in told}
    assert [] == [one for one in told if one[0] > first and not one[2]]
