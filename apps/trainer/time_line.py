"""Where the time of a training went, as a picture: its steps, one below the other, each from its begin to its end."""

from collections.abc import Sequence

from matplotlib.figure import Figure

from apps.common.steps import StepSpan


def draw(spans: Sequence[StepSpan]) -> Figure:
    """A bar for each step, over seconds since the first one began, with what it took behind it."""
    figure = Figure(figsize=(8, 0.8 + 0.28 * len(spans)), layout="constrained")
    axes = figure.subplots()
    bars = axes.barh(
        [span.name for span in spans], [span.ended - span.began for span in spans], left=[span.began for span in spans]
    )
    axes.bar_label(bars, [f"{span.ended - span.began:.1f} s" for span in spans], padding=3)
    axes.invert_yaxis()
    axes.margins(x=0.12)
    total = max((span.ended for span in spans), default=0.0)
    axes.set(xlabel="s since the trainer looked for the batch", title=f"{total:.1f} s")
    return figure
