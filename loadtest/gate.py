"""The gate of a load (its service level objective): what was measured against what was asked for, as sentences."""

from dataclasses import asdict, dataclass
from typing import Any

from loadtest.schedule import LoadTally


@dataclass(frozen=True)
class Limits:
    """The most that is allowed: milliseconds, 0 being no limit; and the share of the requests without an answer."""

    p50_ms: float = 0
    p99_ms: float = 0
    fail_ratio: float = 0


HOLDS, BROKEN, INTERRUPTED = 0, 1, 130  # exit codes


@dataclass(frozen=True)
class Measured:
    """What became of all requests of a load; one without an answer counts as its deadline."""

    requests: int
    failures: int
    p50_ms: float
    p99_ms: float

    @property
    def fail_ratio(self) -> float:
        """The share without an answer in time."""
        return self.failures / self.requests if self.requests else 0.0

    def __str__(self) -> str:
        """In a line."""
        times = f"p50 {self.p50_ms:.3g} ms, p99 {self.p99_ms:.3g} ms"
        return f"{self.requests:,} requests, {self.failures:,} without an answer in time, {times}"


def verdict(measured: Measured, broken: list[str], code: int) -> dict[str, Any]:
    """All of it for a program."""
    return {**asdict(measured), "fail_ratio": measured.fail_ratio, "breaches": broken, "exit_code": code}


def breaches(measured: Measured, limits: Limits) -> list[str]:
    """Every limit that does not hold; a load in which nothing was sent has shown nothing, and does not hold either."""
    if not measured.requests:
        return ["a load must have requests; got none; see what the log says of Kafka"]
    asked = {
        "p50 in ms": (measured.p50_ms, limits.p50_ms, limits.p50_ms > 0),
        "p99 in ms": (measured.p99_ms, limits.p99_ms, limits.p99_ms > 0),
        "share without an answer in time": (measured.fail_ratio, limits.fail_ratio, True),
    }
    return [
        f"{name} must be at most {limit:g}; got {value:.3g}"
        for name, (value, limit, judged) in asked.items()
        if judged and value > limit
    ]


def clients_part(tally: LoadTally, produce_p99_ms: float, most_ms: float) -> list[str]:
    """
    What is no fault of the server's: a load that was due and not sent, and acknowledgements above ``most_ms``.

    ``most_ms`` is what an answer may take; a request that Kafka has not acknowledged by then cannot have one.
    """
    remedy = "use --processes N or a lower rate"
    problems = []
    if tally.sent < tally.due:
        problems.append(f"the client must send {tally.due} requests; got {tally.sent}; {remedy}")
    if produce_p99_ms > most_ms:
        rule = f"Kafka must have acknowledged 99 % of the requests within {most_ms:g} ms; got {produce_p99_ms:.3g} ms"
        problems.append(f"{rule}; that is the client or Kafka, not the server; {remedy}")
    return problems
