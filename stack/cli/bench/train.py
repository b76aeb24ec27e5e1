"""``bench train``: what a training costs as batch after batch comes, step by step by the trainer's own log."""

import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress

from rich.table import Table

from apps.common.waiting import wait_until
from stack.cli.bench.machine import machine, tell
from stack.cli.bench.measured_stack import measured_stack
from stack.cli.console import step
from stack.cli.demo import Chronicle
from stack.cli.pipeline import Withheld
from stack.cli.stack import Mode, Stack

TRAINER, ALL = "trainer", "done"  # the line that the trainer ends with has the seconds of all
LOG_LINES = 2000  # more than one training says
LOGGED_S = 60
SHOWN_S = 1.0  # a step that never takes longer is in the JSON only

_LINE = re.compile(r"\[info *\] (?P<step>.+?) +app=trainer batch=(?P<batch>\S+) seconds=(?P<seconds>[0-9.]+)$")


def train(count: int, rows: int, settings: Mapping[str, str], *, as_json: bool) -> None:
    """Land ``count`` batches of ``rows`` rows, each when the version of the one before serves."""
    before, trainings = machine(), list[dict[str, float]]()
    told = {**settings, "BATON_SLICE_ROWS": str(rows)}
    with measured_stack(Mode.EMBEDDED, **told) as stack:
        chronicle = Chronicle(stack.pipeline())
        for number in range(1, count + 1):
            with step(f"batch {number} of {count}") as line:
                with suppress(Withheld):  # which costs as much
                    chronicle.cycle()
                trainings.append(_seconds(stack, chronicle.batches[-1].name))
                line.update(f"{trainings[-1][ALL]:g} s")
    figures = {"rows": rows, "settings": dict(settings), "trainings": trainings, "last_to_first": ratio(trainings)}
    remark = f"{rows:,} rows a batch; the last training took {ratio(trainings):.2f} times as long as the first"
    tell(figures, before, [_table(trainings), remark], as_json=as_json)


def _seconds(stack: Stack, batch: str) -> dict[str, float]:
    """The seconds of each step of the training on a batch, which has ended or is about to."""

    def all_logged() -> dict[str, float] | None:
        logged = seconds_of((text for _, text in stack.runtime.logs(TRAINER, LOG_LINES, follow=False)), batch)
        return logged if ALL in logged else None

    return wait_until(all_logged, LOGGED_S, f"the log of the trainer must say that {batch} is done; it does not")


def seconds_of(lines: Iterable[str], batch: str) -> dict[str, float]:
    """The seconds of each step of the training on a batch, as the trainer's log has them, in their order."""
    found = (_LINE.search(line.rstrip()) for line in lines)
    return {one["step"]: float(one["seconds"]) for one in found if one and one["batch"] == batch}


def ratio(trainings: Sequence[Mapping[str, float]]) -> float:
    """How many times as long as the first training the last one took."""
    return round(trainings[-1][ALL] / trainings[0][ALL], 2)


def _table(trainings: Sequence[Mapping[str, float]]) -> Table:
    table = Table("seconds of training", *map(str, range(1, len(trainings) + 1)), box=None)
    for name in trainings[-1]:
        seconds = [one.get(name, 0.0) for one in trainings]
        if max(seconds) > SHOWN_S:
            table.add_row(name, *(f"{each:.0f}" for each in seconds))
    return table
