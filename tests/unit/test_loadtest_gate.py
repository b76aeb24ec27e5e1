"""The gate of a load: which limits hold, and in which words one does not."""

import pytest

from loadtest.gate import Limits, Measured, breaches, clients_part, verdict
from loadtest.schedule import LoadTally

WELL = Measured(requests=1000, failures=0, p50_ms=4.25, p99_ms=90.0)


@pytest.mark.parametrize(
    ("measured", "limits"),
    [
        (WELL, Limits()),
        (WELL, Limits(p50_ms=4.25, p99_ms=90)),
        (Measured(1000, 20, 4.25, 90.0), Limits(fail_ratio=0.02)),
    ],
)
def test_what_is_at_its_limit_holds(measured, limits):
    """A limit is the most that is allowed, and 0 milliseconds is none."""
    assert [] == breaches(measured, limits)


def test_every_limit_that_does_not_hold_is_named_with_what_was_got():
    """All of them, not the first."""
    assert [
        "p50 in ms must be at most 4; got 4.25",
        "p99 in ms must be at most 80; got 90",
        "share without an answer in time must be at most 0.01; got 0.02",
    ] == breaches(Measured(1000, 20, 4.25, 90.0), Limits(p50_ms=4, p99_ms=80, fail_ratio=0.01))


def test_one_request_without_an_answer_is_too_many_unless_some_are_allowed():
    """The share that may fail is nothing when nothing is said."""
    assert ["share without an answer in time must be at most 0; got 1e-06"] == breaches(
        Measured(1_000_000, 1, 4.0, 9.0), Limits()
    )


def test_a_load_without_a_request_has_shown_nothing():
    """It would hold every limit, and does not."""
    (problem,) = breaches(Measured(0, 0, 0.0, 0.0), Limits())

    assert problem.startswith("a load must have requests; got none")


def test_a_verdict_has_the_figures_and_what_is_wrong():
    """For a program, and in a line for a person."""
    measured = Measured(1000, 20, 4.25, 90.0)

    said = verdict(measured, ["x"], 1)
    assert (0.02, ["x"], 1) == tuple(said[name] for name in ("fail_ratio", "breaches", "exit_code"))
    assert "1,000 requests, 20 without an answer in time, p50 4.25 ms, p99 90 ms" == str(measured)


def test_a_load_that_was_not_offered_is_the_clients_fault():
    """Whoever asked for 5,000 a second learns that they were not sent, and that Kafka was the slow one."""
    assert [] == clients_part(LoadTally(1000, 1000), 200.0, 200.0)
    assert [
        "the client must send 1000 requests; got 999; use --processes N or a lower rate",
        (
            "Kafka must have acknowledged 99 % of the requests within 200 ms; got 201 ms; "
            "that is the client or Kafka, not the server; use --processes N or a lower rate"
        ),
    ] == clients_part(LoadTally(1000, 999), 201.0, 200.0)
