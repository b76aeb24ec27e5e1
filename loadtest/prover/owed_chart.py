"""
The picture of a proof: how many requests each partition owed an answer, over time, with all that happened marked.

Drawn as SVG by hand, because a drawing library would be most of what the prover installs.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from itertools import accumulate

from loadtest.timing import RequestWait

COLUMNS = 600
WIDTH, LEFT, RIGHT = 1000, 92, 18
ROW, GAP, TOP, BOTTOM = 56, 12, 26, 22
MOST = 12  # partitions that are drawn: those that owed most
TICKS = 6
TICK_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600, 10800, 86400)


@dataclass(frozen=True)
class Mark:
    """A stretch (or, where both ends are one, a moment) of the run, in seconds since 1970."""

    began: float
    ended: float
    label: str
    kind: str  # command, quiet or handover: a class of the page's style


def owed(waits: Iterable[RequestWait], began: float, ended: float, columns: int = COLUMNS) -> dict[int, list[int]]:
    """Of each partition the most that it owed at once in each of ``columns`` equal slices of time."""
    width = max(ended - began, 1e-9) / columns
    steps: dict[int, list[tuple[float, int]]] = defaultdict(list)
    for wait in waits:
        steps[wait.partition].append((wait.sent_at, 1))
        if wait.answer:
            steps[wait.partition].append((max(wait.answer.seen_at, wait.sent_at), -1))
    return {
        partition: _peaks(sorted(moments, key=lambda step: (step[0], -step[1])), began, width, columns)
        for partition, moments in sorted(steps.items())
    }


def _peaks(steps: Sequence[tuple[float, int]], began: float, width: float, columns: int) -> list[int]:
    peaks, at, level = [0] * columns, 0, 0
    for (moment, _), after in zip(steps, accumulate(step for _, step in steps), strict=True):
        column = min(max(int((moment - began) / width), 0), columns - 1)
        for between in range(at, column + 1):  # what was owed before lasts until now
            peaks[between] = max(peaks[between], level)
        peaks[column] = max(peaks[column], after)
        at, level = column, after
    for rest in range(at, columns):
        peaks[rest] = max(peaks[rest], level)
    return peaks


def draw(
    waits: Sequence[RequestWait], began: float, ended: float, marks: Sequence[Mark], row: str = "partition {}"
) -> str:
    """An ``<svg>`` element for a page that styles its classes; ``row`` names a partition by its number."""
    levels = owed(waits, began, ended)
    shown = sorted(sorted(levels, key=lambda partition: -max(levels[partition]))[:MOST])
    height = TOP + len(shown) * (ROW + GAP) + BOTTOM
    scale = _Scale(began, max(ended - began, 1e-9), max((max(levels[one]) for one in shown), default=1) or 1)
    parts = [part for mark in marks for part in _marked(mark, scale, height)]
    for number, partition in enumerate(shown):
        foot = TOP + number * (ROW + GAP) + ROW
        parts.append(f'<path class="owed" d="{_area(levels[partition], foot, scale)}"/>')
        parts.append(f'<line class="foot" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{foot}" y2="{foot}"/>')
        parts.append(f'<text x="0" y="{foot - ROW / 2:.0f}">{row.format(partition)}</text>')
        parts.append(
            f'<text class="soft" x="0" y="{foot - ROW / 2 + 16:.0f}">at most {max(levels[partition]):,}</text>'
        )
    parts += _clock(scale, height)
    return f'<svg viewBox="0 0 {WIDTH} {height}" xmlns="http://www.w3.org/2000/svg">{"".join(parts)}</svg>'


@dataclass(frozen=True)
class _Scale:
    began: float
    seconds: float
    most: int

    def x(self, at: float) -> float:
        """Where a moment stands, in the picture's units."""
        share = min(max((at - self.began) / self.seconds, 0.0), 1.0)
        return LEFT + share * (WIDTH - LEFT - RIGHT)


def _area(peaks: Sequence[int], foot: float, scale: _Scale) -> str:
    step = (WIDTH - LEFT - RIGHT) / len(peaks)
    points = [f"M{LEFT} {foot}"]
    points += [f"V{foot - ROW * peak / scale.most:.1f}H{LEFT + (at + 1) * step:.1f}" for at, peak in enumerate(peaks)]
    return "".join([*points, f"V{foot}Z"])


def _marked(mark: Mark, scale: _Scale, height: float) -> list[str]:
    left, right = scale.x(mark.began), scale.x(mark.ended)
    near_the_end = left > WIDTH * 0.8
    anchor, x = ("end", right if right > left else left - 4) if near_the_end else ("start", left + 4)
    size = f'width="{max(right - left, 1.5):.1f}" height="{height - TOP - BOTTOM + 4}"'
    return [
        f'<rect class="{mark.kind}" x="{left:.1f}" y="{TOP - 4}" {size}/>',
        f'<text class="{mark.kind}" x="{x:.1f}" y="{TOP - 10}" text-anchor="{anchor}">{escape(mark.label)}</text>',
    ]


def _clock(scale: _Scale, height: float) -> list[str]:
    step = next((s for s in TICK_S if s * TICKS * 2 >= scale.seconds), TICK_S[-1])
    return [
        f'<text class="soft" x="{scale.x(scale.began + at):.1f}" y="{height - 4}" text-anchor="middle">'
        f"{at // 60}:{at % 60:02d}</text>"
        for at in range(0, int(scale.seconds) + 1, step)
    ]
