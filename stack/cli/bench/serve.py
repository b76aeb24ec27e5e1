"""``bench serve``: the latency of the whole stacked model at each rate, beside what the instrument costs by itself."""

from collections.abc import Mapping, Sequence

from rich.table import Table

from loadtest.peer import Peer
from stack.cli.bench.bout import BATON, WARM_S, Bout, measure
from stack.cli.bench.machine import machine, ms, quantiles, tell
from stack.cli.bench.measured_stack import measured_stack
from stack.cli.bench.peers import beside
from stack.cli.demo import Chronicle
from stack.cli.stack import Mode


def serve(rates: Sequence[float], seconds: float, settings: Mapping[str, str], *, as_json: bool) -> None:
    """Train on one batch, then measure a pass-through and the version at each rate."""
    before, bouts = machine(), list[Bout]()
    with measured_stack(Mode.EMBEDDED, **settings) as stack:
        pipeline = stack.pipeline()
        Chronicle(pipeline).cycle()
        for rate in rates:
            folder = stack.state / f"ledger-{rate:g}"
            with beside(Peer.THROUGH, pipeline, folder) as (environment, _):
                bouts.append(measure(Peer.THROUGH, environment, folder / Peer.THROUGH, rate, seconds))
            bouts.append(measure(BATON, pipeline.environment, folder / BATON, rate, seconds))
    remark = (
        f"open loop, after {WARM_S} s of warm-up; late: how far behind its schedule the sender was; pass-through: the "
        "same sender, broker and reader around a loop that answers at once"
    )
    tell({"serve": [bout.figures() for bout in bouts]}, before, [_table(bouts), remark], as_json=as_json)


def _table(bouts: Sequence[Bout]) -> Table:
    measured = ("p50 ms", "p95 ms", "p99 ms", "p99.9 ms", "worst ms")
    late = ("late p50 ms", "late p99 ms", "late worst ms")
    table = Table("requests/s", "who", "answers", *measured, *late, "missing", box=None)
    for bout in bouts:
        one = bout.latency
        cells = ms(one.p50_ms, one.p95_ms, one.p99_ms, one.p999_ms, one.worst_ms) + quantiles(bout.late)
        table.add_row(f"{bout.rate:g}", bout.who, f"{one.count:,}", *cells, str(bout.missing))
    return table
