"""Replaying requests to a real broker, which is also killed."""

import json
import signal
import threading
import time
import uuid
from collections import Counter

import pytest
from kafka import KafkaConsumer, TopicPartition

from apps.batch_dropper import __main__ as dropper
from apps.batch_dropper.encoding import Request
from apps.batch_dropper.replay import Replay
from apps.common.errors import Unavailable
from apps.common.kafka_access import KafkaAccess
from apps.common.names import StackNames
from apps.common.send_journal import SendWriter
from apps.common.waiting import pause, wait_until

NAMES = StackNames("baton", "used_cars")
BODIES = [Request(b'{"mileage": %d}' % number, str(number)) for number in range(7)]


def replay_of(kafka, journal, **settings):
    """A sender with a run of its own."""
    defaults = {"rate": 200.0, "seconds": 2.0, "outcome_delay": 0.5, "requests": BODIES, "names": NAMES}
    run = uuid.uuid4().hex[:8]
    return Replay(access=KafkaAccess(kafka), run=run, journal=SendWriter(journal), **{**defaults, **settings})


def records(kafka, topic, run):
    """The records of a run in a topic, as they stand in each partition."""
    consumer = KafkaConsumer(bootstrap_servers=kafka)
    partitions = [TopicPartition(topic, number) for number in consumer.partitions_for_topic(topic)]
    consumer.assign(partitions)
    consumer.seek_to_beginning()
    ends, found = consumer.end_offsets(partitions), []
    while any(consumer.position(partition) < ends[partition] for partition in partitions):
        for batch in consumer.poll(timeout_ms=500).values():
            found += [one for one in batch if (one.key or b"").decode().startswith(run)]
    consumer.close()
    return found


def lines(journal):
    """The journal, by request id."""
    return {line["request_id"]: line for line in map(json.loads, journal.read_text().splitlines())}


def test_every_request_is_in_the_topic_once_where_the_journal_says(kafka, tmp_path):
    """
    Journal and topic agree on ids, partitions and offsets; the bodies are the test part, again and again.
    """
    journal = tmp_path / "journal.jsonl"
    replay = replay_of(kafka, journal)

    replay.go()

    found = records(kafka, NAMES.requests, replay.run)
    written = lines(journal)
    assert 400 == len(found) == len(written) == replay.sender.sent == replay.journal.acknowledged
    assert {(one.key.decode(), one.partition, one.offset) for one in found} == {
        (line["request_id"], line["partition"], line["offset"]) for line in written.values()
    }
    assert all(line["sent_at"] <= line["acked_at"] for line in written.values())
    assert max(line["late_s"] for line in written.values()) == replay.sender.lateness.worst
    assert {f"{replay.run}-{number}": BODIES[number % 7].value for number in range(400)} == {
        one.key.decode(): one.value for one in found
    }


def test_each_outcome_follows_its_request_after_the_delay(kafka, tmp_path):
    """
    The outcome has the request's id and the true value; those still owed at the end are sent at the end.
    """
    replay = replay_of(kafka, tmp_path / "journal.jsonl", requests=[*BODIES[1:], Request(b"{}")])

    replay.go()

    outcomes = records(kafka, NAMES.outcomes, replay.run)
    with_target = {f"{replay.run}-{number}": number % 7 + 1 for number in range(400) if number % 7 != 6}
    assert with_target == {one.key.decode(): json.loads(one.value)["outcome"] for one in outcomes}
    assert all(json.loads(one.value)["request_id"] == one.key.decode() for one in outcomes)
    sent = {line["request_id"]: 1000 * line["sent_at"] for line in lines(tmp_path / "journal.jsonl").values()}
    waited = [one.timestamp - sent[one.key.decode()] for one in outcomes if int(one.key.decode().split("-")[1]) < 250]
    assert min(waited) >= 450


def test_the_schedule_is_kept_whatever_the_broker_does(broker, tmp_path):
    """
    Killed and away for some seconds, the broker delays acknowledgements and neither the schedule nor the order.
    """
    journal = tmp_path / "journal.jsonl"
    replay = replay_of(broker.address, journal, rate=100.0, seconds=20.0)
    sender = threading.Thread(target=replay.go)
    sender.start()
    wait_until(lambda: replay.journal.acknowledged > 200, 30, "nothing was acknowledged")

    broker.kill()
    sent, acknowledged = replay.sender.sent, replay.journal.acknowledged
    pause(6)
    sent_meanwhile, acknowledged_meanwhile = replay.sender.sent - sent, replay.journal.acknowledged - acknowledged
    broker.start()
    broker.wait()
    sender.join()

    assert 400 < sent_meanwhile < 800
    assert acknowledged_meanwhile < 100
    found = records(broker.address, NAMES.requests, replay.run)
    assert 2000 == replay.sender.sent == replay.journal.acknowledged == len(lines(journal))
    assert {1} == set(Counter(one.key for one in found).values())
    assert 2000 == len(found) == len(records(broker.address, NAMES.outcomes, replay.run))
    for partition in {one.partition for one in found}:
        numbers = [int(one.key.decode().split("-")[1]) for one in found if one.partition == partition]
        assert sorted(numbers) == numbers


def test_a_sender_that_is_told_to_stop_writes_down_all_it_sent(kafka, tmp_path):
    """
    Stopped in the middle, journal and topic agree to the last request.
    """
    journal = tmp_path / "journal.jsonl"
    replay = replay_of(kafka, journal, rate=500.0, seconds=0.0)
    threading.Timer(1.5, replay.stop.set).start()

    replay.go()

    assert replay.sender.sent > 100
    assert replay.sender.sent == len(lines(journal)) == len(records(kafka, NAMES.requests, replay.run))


def test_a_request_that_is_too_large_to_be_sent_is_written_down_and_the_rest_goes_on(kafka, tmp_path):
    """
    One impossible request is an error in the journal and holds nobody up.
    """
    journal = tmp_path / "journal.jsonl"
    replay = replay_of(kafka, journal, requests=[Request(b'"' + b"x" * 5_000_000 + b'"'), *BODIES], seconds=0.1)

    replay.go()

    broken = [line for line in lines(journal).values() if line["error"]]
    assert {0, 8, 16} == {int(line["request_id"].split("-")[1]) for line in broken}
    assert 20 - 3 == replay.journal.acknowledged


def test_a_megabyte_reaches_the_topic(kafka, tmp_path):
    """
    The server is to reject it, not the sender.
    """
    replay = replay_of(kafka, tmp_path / "j", requests=[Request(b'"' + b"x" * 1_100_000 + b'"')], rate=1.0, seconds=0.5)

    replay.go()

    assert 1 == replay.journal.acknowledged


def test_no_broker_and_no_topic_are_told_apart_and_sent_nothing(kafka, tmp_path, monkeypatch):
    """
    The error says which of the two is missing.
    """
    monkeypatch.setattr("apps.common.request_sender.START_S", 2)
    with pytest.raises(Unavailable, match=r"Kafka must answer at 127\.0\.0\.1:9"):
        replay_of("127.0.0.1:9", tmp_path / "a").go()

    with pytest.raises(Unavailable, match=r"must have the topic never-made\.prediction-requests"):
        replay_of(kafka, tmp_path / "b", names=StackNames("never-made", "used_cars")).go()


def test_the_app_stops_at_sigterm_and_tells_what_it_did(kafka, tmp_path, monkeypatch, capsys):
    """
    The journal can be followed while it runs, and after SIGTERM the exit code is 0.
    """
    journal = tmp_path / "journal.jsonl"
    settings = {"job": "replay", "kafka": kafka, "work": tmp_path, "dataset": "boston_housing", "rate": 50}
    for name, value in {**settings, "run": "term", "journal": journal}.items():
        monkeypatch.setenv(f"BATON_{name.upper()}", str(value))
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    seen = []

    def stop_when_seen():
        wait_until(lambda: journal.exists() and journal.stat().st_size, 20, "nothing in the journal")
        seen.append(time.monotonic())
        signal.raise_signal(signal.SIGTERM)

    killer = threading.Thread(target=stop_when_seen)
    killer.start()
    try:
        code = dropper.main()
    finally:
        killer.join()
        for number, handler in before.items():
            signal.signal(number, handler)

    assert 0 == code
    assert time.monotonic() - seen[0] < 5
    assert lines(journal)
    assert "run=term" in capsys.readouterr().err
