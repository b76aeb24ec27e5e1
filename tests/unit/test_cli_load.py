"""What ``./baton load`` asks of locust."""

import pytest

from apps.common.errors import Unavailable
from loadtest.gate import Limits
from loadtest.load_shapes import LoadShape
from stack.cli.load import Load, read_verdict

SPIKE = Load(500, 60, LoadShape.SPIKE, 10, Limits(p50_ms=20, p99_ms=200, fail_ratio=0.01))


def test_everything_that_is_asked_for_is_told_to_locust():
    """Each flag with its value; one process needs no master."""
    flags = SPIKE.flags()

    assert {
        "--rate": "500",
        "--seconds": "60",
        "--shape": "spike",
        "--deadline": "10",
        "--slo-p50-ms": "20",
        "--slo-p99-ms": "200",
        "--slo-fail-ratio": "0.01",
    } == dict(zip(flags[::2], flags[1::2], strict=True))


def test_the_master_of_several_processes_listens_on_this_machine_alone_and_for_its_own_workers():
    """Locust's own defaults are every address of the machine, and one port, where two loads would share workers."""
    one, other = (Load(500, 60, LoadShape.STEADY, 10, Limits(), processes=3).flags() for _ in range(2))
    told, others = (dict(zip(flags[::2], flags[1::2], strict=True)) for flags in (one, other))

    assert ("3", "127.0.0.1") == (told["--processes"], told["--master-bind-host"])
    assert told["--master-bind-port"] == told["--master-port"] != others["--master-port"]


def test_a_locust_without_a_verdict_is_told_by_its_last_words(tmp_path):
    """What kept it from one stands in its log."""
    log = tmp_path / "locust.log"
    log.write_text("error: Kafka must answer\n")

    with pytest.raises(Unavailable, match=r"(?s)must come to a verdict; .*Kafka must answer"):
        read_verdict(tmp_path / "verdict.json", log)
