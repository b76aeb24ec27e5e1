"""What is told at /metrics, and that the door never stands in the way of the work behind it."""

import socket
import threading
from contextlib import suppress

import pytest
import requests
import structlog

from apps.common import exposition, logs, ticking
from apps.common.errors import SettingsError, Unavailable
from apps.common.exposition import FAMILIES, Exposition, ExpositionSettings, Figure
from apps.common.settings import load
from apps.common.waiting import wait_until

READY_S = 10


@pytest.fixture
def port():
    """One that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def settings(port):
    """What an app is told."""
    return load(ExpositionSettings, metrics_port=port)


def page(port):
    """What the door says, once it is open."""
    found = []

    def answered():
        with suppress(requests.ConnectionError):
            found.append(requests.get(f"http://127.0.0.1:{port}/metrics", timeout=READY_S))
        return bool(found)

    wait_until(answered, READY_S, "nobody answers")
    return found[0]


def test_the_figures_of_now_are_told_with_their_kind_and_meaning(port):
    """
    Each scrape asks anew; what is told may be replaced by another function, and the process' memory stands beside it.
    """
    lag = Figure("baton_server_lag_requests", 3, {"partition": "0"})
    told = Exposition(lambda: [lag]).start(settings(port), structlog.get_logger())
    first = page(port).text

    told.told = lambda: [Figure("baton_watcher_ticks_total", 7, {"outcome": "done"})]
    second = page(port).text

    assert 'baton_server_lag_requests{partition="0"} 3.0' in first
    assert f"# HELP baton_server_lag_requests {FAMILIES['baton_server_lag_requests'].meaning}" in first
    assert "# TYPE baton_watcher_ticks_total counter" in second
    assert 'baton_watcher_ticks_total{outcome="done"} 7.0' in second
    assert "baton_server_lag_requests" not in second
    assert "process_resident_memory_bytes" in second


def test_a_histogram_is_told_with_its_buckets_and_its_sum(port):
    """
    As Prometheus reads one: a line for each bound, the count, and the sum.
    """
    buckets = (("0.1", 2), ("+Inf", 3))
    Exposition(lambda: [Figure("baton_gateway_seconds", 1.5, {"door": "d"}, buckets)]).start(
        settings(port), structlog.get_logger()
    )
    told = page(port).text

    assert 'baton_gateway_seconds_bucket{door="d",le="0.1"} 2.0' in told
    assert 'baton_gateway_seconds_count{door="d"} 3.0' in told
    assert 'baton_gateway_seconds_sum{door="d"} 1.5' in told


def test_a_port_that_is_taken_is_said_once_and_taken_when_it_is_free(port, monkeypatch):
    """
    As during a hand-over: the app works on, and answers once the one before has left.
    """
    monkeypatch.setattr(exposition, "AGAIN_S", 0.05)
    log = structlog.testing.CapturingLogger()
    with socket.socket() as before:
        before.bind(("127.0.0.1", port))
        before.listen()
        Exposition(list).start(settings(port), log)
        wait_until(lambda: log.calls, READY_S, "nothing is said of the port")
        threading.Event().wait(0.3)
        assert ["figures are not told yet; trying again"] == [call.args[0] for call in log.calls]

    assert page(port).ok


def test_a_fault_of_the_figures_is_a_failed_scrape_and_nothing_else(port):
    """
    A figure that nobody declared is no figure; the next scrape is answered again.
    """
    told = Exposition(lambda: [Figure("baton_unheard_of", 1)]).start(settings(port), structlog.get_logger())
    failed = page(port)

    told.told = list

    assert 500 == failed.status_code
    assert page(port).ok


def test_an_app_run_by_hand_opens_no_door(monkeypatch):
    """
    Without a port no thread is begun.
    """
    begun = []
    monkeypatch.setattr(threading, "Thread", lambda **told: begun.append(told))

    Exposition(list).start(settings(0), structlog.get_logger())

    assert not begun


def test_a_port_that_is_none_is_refused():
    """
    The settings say what a port is.
    """
    with pytest.raises(SettingsError, match="BATON_METRICS_PORT must be valid"):
        settings(65536)


def test_ticks_that_are_done_and_ticks_that_lack_something_are_told_apart(usual_signals):
    """
    The age is of the last tick that was done.
    """
    record, results = ticking.TickRecord(), iter([None, Unavailable("Kafka must answer"), None, KeyboardInterrupt()])

    def tick():
        if result := next(results):
            raise result

    before = record.last_done
    with pytest.raises(KeyboardInterrupt):
        ticking.run(tick, 0.01, logs.configure("test"), record=record)
    told = {(one.family, *one.labels.values()): one.value for one in record.figures()}

    assert (2, 1) == (record.done, record.failed)
    assert 2 == told["baton_watcher_ticks_total", "done"]
    assert record.last_done > before
    assert told["baton_watcher_tick_age_seconds",] < READY_S


def test_the_names_are_as_prometheus_wants_them():
    """
    A counter ends in total, nothing else does, and each says what it means.
    """
    for family in FAMILIES.values():
        assert family.name.startswith("baton_")
        assert family.name.endswith("_total") is (family.kind == "counter")
        assert family.meaning.endswith(".")
