"""What a figure was measured on, and how figures are shown: none without its machine and its load."""

import json
import os
from collections.abc import Iterable, Mapping

import psutil
from rich.table import Table

from loadtest.timing import Latency
from stack.cli.console import out, show


def machine() -> dict[str, object]:
    """The machine, and how busy it is now."""
    return {
        "cores": psutil.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "load": _load(),
    }


def _load() -> list[float]:
    return [round(load, 2) for load in os.getloadavg()]


def tell(
    figures: Mapping[str, object], before: Mapping[str, object], parts: Iterable[Table | str], *, as_json: bool
) -> None:
    """Print the figures as JSON, or ``parts``; ``before`` is the machine as it was before anything was started."""
    measured_on = {**before, "load_at_end": _load()}
    if as_json:
        print(json.dumps({"machine": measured_on, **figures}, indent=1))
        return
    for part in parts:
        show(part)
    out.print(f"machine: {', '.join(f'{name} {value}' for name, value in measured_on.items())}")


def ms(*values: float | None) -> list[str]:
    """Cells of a table: milliseconds, a dash where nothing was measured."""
    return ["-" if value is None else f"{value:.1f}" for value in values]


def quantiles(measured: Latency) -> list[str]:
    """Cells of a table: the median, the 99th percentile and the worst."""
    return ms(measured.p50_ms, measured.p99_ms, measured.worst_ms)
