"""
The chart of a run: each answer a dot of its version's colour, and above it who trained and who served.

It is drawn in stand-in colours that become CSS variables, so that one chart suits a light and a dark page.
"""

import io
import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from itertools import groupby
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MultipleLocator, NullFormatter

from loadtest.ledger import Verdict
from loadtest.timing import RequestWait, Span

INK, SOFT, TRAINING, BAD = "#0a0a01", "#0a0a02", "#0a0a03", "#0a0a04"
STAND_INS = {INK: "var(--ink)", SOFT: "var(--line)", TRAINING: "var(--training)", BAD: "var(--bad)"}
LIGHT = {  # as in report.html.j2
    INK: "#1c2024",
    SOFT: "#dfe2e4",
    TRAINING: "#b7791f",
    BAD: "#c4352b",
    "#0b0b00": "#2463c7",
    "#0b0b01": "#0f8a6c",
    "#0b0b02": "#9b3fb5",
    "#0b0b03": "#b4540a",
    "#0b0b04": "#5b5fc7",
    "#0b0b05": "#55701c",
}
SETTINGS = {
    "svg.fonttype": "none",
    "text.parse_math": False,  # a $ in a version is a $
    "svg.hashsalt": "baton",
    "font.size": 11,
    "text.color": INK,
    "axes.edgecolor": SOFT,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
}
COLOURS = 6  # versions after the sixth begin again at the first colour
SLICES = 500
DOTS_PER_SLICE = 6
SECOND_MS = 1000
TICKS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600, 10800, float("inf"))
MOST_TICKS = 12
NEAR_THE_END = 0.8
BELOW_MS = 0.2  # a clock may say that an answer was seen before its request was sent


def colour(number: int) -> str:
    """The stand-in colour of the n-th version."""
    return f"#0b0b0{number % COLOURS}"


def draw(verdict: Verdict, drops: Sequence[float], trainings: Sequence[tuple[Span, str]]) -> str:
    """Return an ``<svg>`` element for a page that defines --ink, --line, --training, --bad and --v0 to --v5."""
    written = io.StringIO()
    with mpl.rc_context(SETTINGS):
        figure = _figure(verdict, drops, trainings)
        figure.savefig(written, format="svg", transparent=True, metadata={"Date": None})
    return _for_the_page(written.getvalue())


def write_png(verdict: Verdict, drops: Sequence[float], trainings: Sequence[tuple[Span, str]], file: Path) -> None:
    """Write the same picture in the colours of a light page, for where no page defines them."""
    with mpl.rc_context(SETTINGS):
        figure = _figure(verdict, drops, trainings)
        _recolour(figure)
        figure.savefig(file, format="png", dpi=100, metadata={"Software": None})


def _recolour(figure: Figure) -> None:
    """Replace each stand-in colour, wherever it is used, by its light one."""
    for artist in figure.findobj():
        for name in ("color", "facecolor", "edgecolor", "markerfacecolor", "markeredgecolor"):
            read, write = getattr(artist, f"get_{name}", None), getattr(artist, f"set_{name}", None)
            if read and write:
                with suppress(ValueError):  # no single colour
                    if (light := LIGHT.get(to_hex(read()))) is not None:
                        write(light)


def _figure(verdict: Verdict, drops: Sequence[float], trainings: Sequence[tuple[Span, str]]) -> Figure:
    figure = Figure(figsize=(10.5, 5.4), layout="constrained")
    lanes, dots = figure.subplots(2, 1, sharex=True, height_ratios=[1, 4.2])
    bands = [((span[0] - verdict.began, span[1] - verdict.began), label) for span, label in trainings]
    landed = [at - verdict.began for at in drops]
    _draw_lanes(lanes, verdict, landed, bands)
    _draw_dots(dots, verdict)
    _draw_moments(dots, verdict, landed, bands)
    dots.set_xlim(0, max(verdict.duration_s, 1))
    return figure


def _for_the_page(svg: str) -> str:
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg[svg.index("<svg") :], flags=re.DOTALL)
    for stand_in, variable in STAND_INS.items():
        svg = svg.replace(stand_in, variable)
    return re.sub(r"#0b0b0(\d)", r"var(--v\1)", svg)


def thinned(waits: Iterable[RequestWait], began: float, ended: float) -> list[RequestWait]:
    """A few answered waits of each slice of time, its slowest always among them: every peak stays visible."""
    width = max(ended - began, 1e-9) / SLICES
    answered = sorted((wait for wait in waits if wait.answer), key=lambda wait: wait.sent_at)
    kept: list[RequestWait] = []
    for _, group in groupby(answered, key=lambda wait: int((wait.sent_at - began) / width)):
        by_ms = sorted(group, key=lambda wait: wait.ms or 0.0)
        step = max(1, -(-len(by_ms) // DOTS_PER_SLICE))
        kept += by_ms[::-1][::step]
    return kept


def _draw_dots(axes: Axes, verdict: Verdict) -> None:
    number_of = {version: number for number, version in enumerate(verdict.versions)}
    shown = thinned(verdict.waits, verdict.began, verdict.ended)
    for version, number in number_of.items():
        own = [wait for wait in shown if wait.answer and wait.answer.model_version == version]
        times, ms = [wait.sent_at - verdict.began for wait in own], [max(wait.ms or 0.0, BELOW_MS) for wait in own]
        axes.plot(times, ms, ".", color=colour(number), markersize=4, alpha=0.75, markeredgewidth=0, gid=f"v{number}")
    slowest = max((wait.ms or 0.0 for wait in shown), default=1.0)
    top = max(100.0, slowest * 2)
    lost = [wait.sent_at - verdict.began for wait in verdict.waits if wait.answer is None]
    axes.plot(lost, [top / 1.5] * len(lost), "x", color=BAD, markersize=6, gid="missing")
    axes.set_yscale("log")
    axes.set_ylim(min([0.5, *(max(wait.ms or 1.0, BELOW_MS) for wait in shown)]), top)
    axes.yaxis.set_major_formatter(
        FuncFormatter(lambda ms, _: f"{ms:g} ms" if ms < SECOND_MS else f"{ms / SECOND_MS:g} s")
    )
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.xaxis.set_major_locator(MultipleLocator(next(s for s in TICKS_S if s * MOST_TICKS >= verdict.duration_s)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda at, _: clock(at)))
    axes.grid(axis="y", color=SOFT, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(which="both", length=0)
    axes.spines[["top", "right", "left"]].set_visible(False)


def clock(seconds: float) -> str:
    """Seconds since the first request as m:ss."""
    whole = round(abs(seconds))
    return f"{'-' if seconds < 0 and whole else ''}{whole // 60}:{whole % 60:02d}"


def _draw_moments(axes: Axes, verdict: Verdict, drops: Sequence[float], trainings: Sequence[tuple[Span, str]]) -> None:
    for (began, ended), _ in trainings:
        axes.axvspan(began, ended, color=TRAINING, alpha=0.13, linewidth=0)
    for at in drops:
        axes.axvline(at, color=TRAINING, linewidth=1, linestyle=(0, (2, 3)))
    for handover in verdict.handovers:
        at = handover.at - verdict.began
        axes.axvline(at, color=INK, linewidth=1)
        side = "right" if at > NEAR_THE_END * verdict.duration_s else "left"
        label = f"release {handover.release}: silence {handover.silence_ms:.0f} ms"
        away = -5 if side == "right" else 5
        _label(axes, at, 0.96, label, away=away, ha=side, xycoords=axes.get_xaxis_transform())


def _draw_lanes(axes: Axes, verdict: Verdict, drops: Sequence[float], trainings: Sequence[tuple[Span, str]]) -> None:
    for (began, ended), label in trainings:
        axes.barh(1, ended - began, left=began, height=0.62, color=TRAINING, alpha=0.45, linewidth=0)
        if ended > 0:
            _label(axes, max(began, 0), 1, label, away=9)
    axes.plot(drops, [1] * len(drops), "v", color=INK, markersize=6)
    for release in verdict.releases:
        answers = [wait.answer for wait in verdict.waits if wait.answer and wait.answer.release == release]
        if not answers:
            continue  # it answered only what was never acknowledged
        began = min(answer.seen_at for answer in answers) - verdict.began
        ended = max(answer.seen_at for answer in answers) - verdict.began
        version = answers[0].model_version
        shade = colour(verdict.versions.index(version))
        axes.barh(0, ended - began, left=began, height=0.62, color=shade, alpha=0.5, linewidth=0)
        _label(axes, began, 0, f"release {release}, version {version}", away=6)
    axes.set_yticks([1, 0], ["training", "serving"])
    axes.set_ylim(-0.6, 1.6)
    axes.tick_params(length=0, labelbottom=False)
    axes.spines[:].set_visible(False)


def _label(axes: Axes, x: float, y: float, text: str, *, away: float, **where: Any) -> None:
    axes.annotate(text, (x, y), (away, 0), textcoords="offset points", va="center", fontsize=10, clip_on=True, **where)
