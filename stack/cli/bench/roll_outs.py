"""``bench roll-outs``: what a hand-over costs those who wait for an answer, over many of them."""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import median

from rich.table import Table

from apps.common.waiting import pause
from loadtest.ledger import Verdict
from loadtest.timing import RequestWait, lateness
from loadtest.traffic import LiveLedger
from stack.cli.bench.bout import WARM_S
from stack.cli.bench.machine import machine, quantiles, tell
from stack.cli.bench.measured_stack import measured_stack
from stack.cli.console import step
from stack.cli.demo import Chronicle
from stack.cli.pipeline import Pipeline
from stack.cli.stack import Mode

SMALL = {"BATON_SLICE_ROWS": "3000", "BATON_TEST_ROWS": "1000"}
CALM_S = 10  # after a roll-out, so that the next one does not meet its end
BEFORE_SWITCH_S, AT_SWITCH_S = 3, 2


@dataclass(frozen=True)
class Moved:
    """When the alias was moved to a version, and when that one was known to serve: seconds since 1970."""

    version: str
    at: float
    served_at: float


@dataclass(frozen=True)
class RollOutFigures:
    """
    What one roll-out cost; None where no hand-over was seen.

    ``served_s`` is from the alias until the new version serves, the watcher's tick among it. ``starting_worst_ms`` is
    the worst latency from the alias until 3 s before the switch, ``switch_worst_ms`` that of the 2 s around it.
    """

    version: str
    served_s: float
    starting_worst_ms: float | None = None
    switch_worst_ms: float | None = None
    longest_gap_ms: float | None = None
    repeats: int | None = None


NUMBERS = tuple(RollOutFigures.__dataclass_fields__)[1:]


def figures_of(moves: Sequence[Moved], verdict: Verdict) -> list[RollOutFigures]:
    """What each move cost: its hand-over is the first one to its version before the next move."""
    ends = [move.at for move in moves[1:]] + [float("inf")]
    return [_figures(move, until, verdict) for move, until in zip(moves, ends, strict=True)]


def _figures(move: Moved, until: float, verdict: Verdict) -> RollOutFigures:
    served_s = move.served_at - move.at
    for one in verdict.handovers:
        if one.version == move.version and move.at <= one.at < until:
            return RollOutFigures(
                move.version,
                served_s,
                _worst(verdict.waits, move.at, one.at - BEFORE_SWITCH_S),
                _worst(verdict.waits, one.at - AT_SWITCH_S, one.at + AT_SWITCH_S),
                one.silence_ms,
                one.repeats,
            )
    return RollOutFigures(move.version, served_s)


def _worst(waits: Sequence[RequestWait], began: float, ended: float) -> float | None:
    return max((wait.ms for wait in waits if began <= wait.sent_at <= ended and wait.ms is not None), default=None)


def summary(found: Sequence[RollOutFigures]) -> dict[str, dict[str, float | None]]:
    """The median and the worst of each figure over all roll-outs."""
    columns = {name: [value for one in found if (value := getattr(one, name)) is not None] for name in NUMBERS}
    return {
        "median": {name: median(values) if values else None for name, values in columns.items()},
        "worst": {name: max(values, default=None) for name, values in columns.items()},
    }


def roll_outs(mode: Mode, rate: float, count: int, *, as_json: bool) -> None:
    """Train two versions, then move the alias champion back and forth under traffic."""
    before = machine()
    with measured_stack(mode, **SMALL) as stack:
        pipeline = stack.pipeline()
        chronicle = Chronicle(pipeline)
        versions = [chronicle.cycle(), chronicle.cycle()]  # the second serves at first
        ledger = LiveLedger(pipeline.environment, stack.state / "ledger")
        with ledger.traffic(rate):
            pause(WARM_S)
            moves = [_moved(pipeline, versions[number % 2], number + 1) for number in range(count)]
        with step("figures"):
            verdict = ledger.verdict(pipeline.expected(versions))
            found, late = figures_of(moves, verdict), lateness(ledger.sends())
    lost = {
        "acked": verdict.acked,
        "missing": len(verdict.missing),
        "wrong": len(verdict.wrong),
        "compared": verdict.compared,
        "repeats": verdict.repeats,
    }
    each = {"sender_late": asdict(late), "roll_outs": [asdict(one) for one in found]}
    seen = sum(one.repeats is not None for one in found)
    remark = (
        f"{rate:g} requests/s; of {verdict.acked:,} acknowledged requests {len(verdict.missing)} have no answer, and "
        f"of {verdict.compared:,} answers that were compared {len(verdict.wrong)} are wrong; {seen} of {count} "
        f"hand-overs were seen; worst while it starts: from the alias until {BEFORE_SWITCH_S} s before the new "
        f"release's first answer that counts, at the switch: {AT_SWITCH_S} s around it; the sender was late by "
        f"{' / '.join(quantiles(late))} ms (p50 / p99 / worst)"
    )
    tell({"rate": rate, **lost, **summary(found), **each}, before, [_table(found), remark], as_json=as_json)


def _moved(pipeline: Pipeline, version: str, number: int) -> Moved:
    """Move the alias, wait until the version serves, and then until all is calm."""
    with step(f"roll-out {number}: version {version}"):
        moved_at = time.time()
        pipeline.move_champion(version)
        pipeline.wait_until_served(version)
        served_at = time.time()
        pause(CALM_S)
    return Moved(version, moved_at, served_at)


def _table(found: Sequence[RollOutFigures]) -> Table:
    waits = ("worst ms while it starts", "worst ms at the switch")
    table = Table("", "version", "served after s", *waits, "longest gap ms", "repeats", box=None)
    for number, one in enumerate(found, 1):
        table.add_row(str(number), one.version, *_cells(asdict(one)))
    for name, values in summary(found).items():
        table.add_row(name, "", *_cells(values))
    return table


def _cells(values: dict[str, float | None]) -> list[str]:
    numbers = [values[name] for name in NUMBERS]
    return ["-" if value is None else f"{value:,.1f}".removesuffix(".0") for value in numbers]
