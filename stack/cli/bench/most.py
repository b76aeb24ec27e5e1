"""``bench serve --max``: the most requests a second that are answered in time for as long as one likes."""

from collections.abc import Callable, Mapping

from rich.table import Table

from stack.cli.bench.bout import BATON, Bout, measure
from stack.cli.bench.machine import machine, quantiles, tell
from stack.cli.bench.measured_stack import measured_stack
from stack.cli.demo import Chronicle
from stack.cli.options import HIGHEST_RATE
from stack.cli.stack import Mode

IN_TIME_MS = 100.0
FIRST, RISE, HALVINGS = 400.0, 1.25, 3
TRIES = 2  # one hiccup of the machine is no limit of Baton
WARM_S, MEASURED_S, SETTLE_S = 5, 10, 20


def most(sustained: Callable[[float], bool], first: float = FIRST, highest: float = HIGHEST_RATE) -> float:
    """The highest rate that is ``sustained``, to an eighth of the last step; 0 when even the smallest tried is not."""
    low, high = 0.0, first
    while sustained(high):
        low, high = high, round(min(high * RISE, highest))
        if low == high:
            return low
    for _ in range(HALVINGS):
        middle = round((low + high) / 2)
        if sustained(middle):
            low = middle
        else:
            high = middle
    return low


def shortfall(bout: Bout) -> str:
    """Why a rate is not sustained; empty when it is."""
    p99, late = bout.latency.p99_ms, bout.late.p99_ms
    if late is None or late > IN_TIME_MS:
        return "the sender was late"
    if p99 is None or p99 > IN_TIME_MS:
        return f"p99 above {IN_TIME_MS:g} ms"
    if bout.missing:
        return "requests without an answer"
    if bout.backlog > max(1.0, bout.rate * p99 / 1000):  # what is under way when nothing waits for longer than p99
        return "the lag grows"
    return ""


def serve_most(settings: Mapping[str, str], *, as_json: bool) -> None:
    """Train on one batch, then look for the most that its version sustains."""
    before, bouts = machine(), list[Bout]()
    with measured_stack(Mode.EMBEDDED, **settings) as stack:
        pipeline = stack.pipeline()
        Chronicle(pipeline).cycle()
        measure(
            BATON, pipeline.environment, stack.state / "ledger-warm", FIRST, MEASURED_S
        )  # a JVM that is new is slow

        def sustained(rate: float) -> bool:
            for _ in range(TRIES):
                folder = stack.state / f"ledger-{len(bouts)}"
                times = {"warm_s": WARM_S, "settle_s": SETTLE_S}
                bouts.append(measure(BATON, pipeline.environment, folder, rate, MEASURED_S, **times))
                if not shortfall(bouts[-1]):
                    return True
            return False

        found = most(sustained)
    cores = int(str(before["cores"]))
    figures = {"most_a_second": found, "most_a_second_per_core": round(found / cores, 1)}
    table = Table("requests/s", "answers/s", "p50 ms", "p99 ms", "worst ms", "late p99 ms", "backlog", "", box=None)
    for bout in bouts:
        late = quantiles(bout.late)[1]
        answered = f"{bout.answered_a_second:.0f}"
        cells = (*quantiles(bout.latency), late, str(bout.backlog), shortfall(bout) or "sustained")
        table.add_row(f"{bout.rate:g}", answered, *cells)
    remark = (
        f"sustained: {found:g} requests/s in all, {found / cores:.0f} per core, the sender, the broker and the reader "
        f"among what the cores do (p99 at most {IN_TIME_MS:g} ms over {MEASURED_S} s, and no growing lag)"
    )
    steps = [{**bout.figures(), "not_sustained": shortfall(bout)} for bout in bouts]
    tell({**figures, "steps": steps}, before, [table, remark], as_json=as_json)
