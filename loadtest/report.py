"""The report of a run: a table for the terminal, and one HTML file that needs nothing but itself."""

import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from rich.table import Table
from rich.text import Text

from loadtest import chart
from loadtest.ledger import Verdict, problems
from loadtest.pages import templates
from loadtest.timing import Latency, Span, latency, outside

DROP, TRAINED, HANDOVER = "drop", "trained", "handover"
HASH_SHOWN = 12
GIB = 1024**3
NOTHING = "-"
MANY_MS, NO_FRACTION_FROM, WHOLE_FROM = 10_000, 100, 1000


@dataclass(frozen=True)
class Event:
    """Something that happened at ``time`` (seconds since 1970); ``kind`` is DROP, TRAINED, HANDOVER or any other."""

    time: float
    label: str
    kind: str


@dataclass(frozen=True)
class BatchRow:
    """A batch, as its training left it."""

    name: str
    rows: int
    content_hash: str
    quarantined: int | None = None


@dataclass(frozen=True)
class VersionRow:
    """A version, the batch it was trained on, how well it does on the test rows, and why it was not made champion."""

    version: str
    batch: str
    metrics: Mapping[str, float] = field(default_factory=dict)
    training_s: float | None = None
    withheld: str = ""


@dataclass(frozen=True)
class Timeline:
    """What happened around the requests."""

    dataset: str
    events: Sequence[Event] = ()
    batches: Sequence[BatchRow] = ()
    versions: Sequence[VersionRow] = ()

    def drops(self) -> list[float]:
        """When a batch landed (seconds since 1970)."""
        return [event.time for event in self.events if event.kind == DROP]

    def champions(self) -> int:
        """How many versions were made champion."""
        return sum(not version.withheld for version in self.versions)

    def trainings(self) -> list[tuple[Span, str]]:
        """From each drop to the next finished training, and how long that was."""
        trainings: list[tuple[Span, str]] = []
        dropped: Event | None = None
        for event in sorted(self.events, key=lambda event: event.time):
            if event.kind == DROP:
                dropped = dropped or event
            elif event.kind == TRAINED and dropped:
                trainings.append(((dropped.time, event.time), f"{event.time - dropped.time:.0f} s"))
                dropped = None
        return trainings


def render(verdict: Verdict, timeline: Timeline, out: Path) -> None:
    """Write the report to ``out``."""
    environment = templates(Path(__file__).parent)
    environment.filters |= {"ms": as_ms, "number": as_number, "clock": chart.clock}
    page = environment.get_template("report.html.j2").render(
        verdict=verdict,
        timeline=timeline,
        problems=problems(verdict, timeline.champions() or 1, must_compare=verdict.compared > 0),
        chart=chart.draw(verdict, timeline.drops(), timeline.trainings()),
        latencies=_latencies(verdict, timeline),
        metrics=sorted({name for version in timeline.versions for name in version.metrics}),
        machine=_machine(),
        hash_shown=HASH_SHOWN,
        colours=chart.COLOURS,
    )
    out.write_text(page)


def _latencies(verdict: Verdict, timeline: Timeline) -> dict[str, Latency]:
    spans = [span for span, _ in timeline.trainings()]
    calm = outside(verdict.waits, spans)
    latencies = {"all requests": verdict.latency}
    if len(calm) != len(verdict.waits):
        calm_at = {id(wait) for wait in calm}
        latencies["while nothing trained"] = latency(calm)
        latencies["while a training ran"] = latency(wait for wait in verdict.waits if id(wait) not in calm_at)
    return latencies


def _machine() -> dict[str, str]:
    memory = psutil.virtual_memory()
    return {
        "cores": str(psutil.cpu_count()),
        "memory": f"{memory.total / GIB:.1f} GiB, {memory.available / GIB:.1f} GiB of it free",
        "load": ", ".join(f"{load:.1f}" for load in os.getloadavg()) + " (1, 5, 15 minutes, at the end)",
        "system": f"{platform.system()} {platform.release()}, {platform.machine()}",
        "Python": platform.python_version(),
    }


def as_ms(value: float | None) -> str:
    """Milliseconds with as many digits as matter; seconds from ten thousand on."""
    if value is None:
        return NOTHING
    if value >= MANY_MS:
        return f"{value / 1000:.1f} s"
    return f"{value:.0f} ms" if value >= NO_FRACTION_FROM else f"{value:.1f} ms"


def as_number(value: float | None) -> str:
    """A count with separators, or a figure of four digits."""
    if value is None:
        return NOTHING
    return f"{value:,}" if isinstance(value, int) else f"{value:,.0f}" if abs(value) >= WHOLE_FROM else f"{value:.4g}"


def table(verdict: Verdict) -> Table:
    """The same in a few lines for the terminal."""
    lines = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2))
    silence = verdict.silence
    where = f"partition {silence.partition}, {chart.clock(silence.began - verdict.began)}" if silence else ""
    spread = verdict.latency
    second = sum(verdict.second_opinions.values())
    again = f", {second:,} of them twice" if second else ""
    compared = f"{verdict.compared:,} compared with what their versions predict{again}" if verdict.compared else ""
    order = verdict.order
    ordered = f"{order.judged:,} held against the one before of their process" if order.judged else ""
    rows: list[tuple[str | Text, ...]] = [
        ("sent", f"{verdict.sent:,}", f"{verdict.acked:,} acknowledged, in {verdict.duration_s:.0f} s"),
        ("answered", f"{verdict.answered:,}", f"{verdict.rejected:,} of them rejected, {verdict.repeats:,} repeats"),
        ("missing", _good_if_none(len(verdict.missing)) if verdict.acked else "nothing sent", ""),
        ("wrong", _good_if_none(len(verdict.wrong)) if verdict.compared else "not compared", compared),
        ("out of order", _good_if_none(order.broken) if order.judged else "not judged", ordered),
        ("p50", as_ms(spread.p50_ms), f"p95 {as_ms(spread.p95_ms)}"),
        ("p99", as_ms(spread.p99_ms), f"p99.9 {as_ms(spread.p999_ms)}, worst {as_ms(spread.worst_ms)}"),
        ("silence", as_ms(verdict.longest_silence_ms), f"the longest: {where}" if where else ""),
        ("versions", ", ".join(verdict.versions) or "none", ""),
    ]
    for handover in verdict.handovers:
        text = f"version {handover.version}, silence {as_ms(handover.silence_ms)}, {handover.repeats:,} repeats"
        rows.append((f"release {handover.release}", chart.clock(handover.at - verdict.began), text))
    lines.add_column(style="bold")
    lines.add_column(justify="right")
    lines.add_column(style="dim")
    for row in rows:
        lines.add_row(*(Text(cell) if isinstance(cell, str) else cell for cell in row))  # a version may hold a [
    return lines


def _good_if_none(count: int) -> Text:
    return Text(f"{count:,}", "red" if count else "green")
