"""``bench peers``: Baton beside what one would write by hand, in one run, on topics alike, by the same instrument."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.table import Table

from apps.common import topics
from apps.common.settings import kafka_access
from loadtest.peer import Peer, running
from stack import services
from stack.cli.bench.bout import BATON, WARM_S, Bout, measure
from stack.cli.bench.machine import machine, quantiles, tell
from stack.cli.bench.measured_stack import measured_stack
from stack.cli.demo import Chronicle
from stack.cli.pipeline import Pipeline
from stack.embedded.services.kafka import topic_settings

SETTLE_S = 10  # a peer that falls behind is not waited for


@contextmanager
def beside(
    peer: Peer, pipeline: Pipeline, folder: Path, batches: Sequence[Path] = ()
) -> Iterator[tuple[Mapping[str, str], str]]:
    """A peer on the platform of a stack, with a name and topics of its own: its environment, and what it says."""
    name = f"bench-{peer}"
    topics.wait_until_made(kafka_access(pipeline.environment), topic_settings(name, services.load().delivery))
    environment = {**pipeline.environment, "BATON_STACK": name}
    with running(peer, environment, folder, batches) as said:
        yield environment, said


def peers(rates: Sequence[float], seconds: float, *, as_json: bool) -> None:
    """Train on one batch, then measure each peer and Baton at each rate, one after the other."""
    before, bouts, explained = machine(), list[Bout](), dict[str, str]()
    with measured_stack() as stack:
        pipeline = stack.pipeline()
        Chronicle(pipeline).cycle()
        if champion := pipeline.champion():
            explained[BATON] = f"{pipeline.metrics(champion).get('test_r2', 0.0):.4f}"
        batches = _used(pipeline, stack.state / "batches")
        for rate in rates:
            folder = stack.state / f"ledger-{rate:g}"
            for peer in Peer:
                with beside(peer, pipeline, folder, batches) as (environment, said):
                    explained[peer] = said
                    bouts.append(measure(peer, environment, folder / peer, rate, seconds, settle_s=SETTLE_S))
            bouts.append(measure(BATON, pipeline.environment, folder / BATON, rate, seconds))
    figures = [{**bout.figures(), **ratios(bout, bouts)} for bout in bouts]
    models = ", ".join(f"{who} {what}" for who, what in explained.items() if who != Peer.THROUGH)
    remark = (
        f"open loop, after {WARM_S} s of warm-up; times: how many times Baton's; backlog: without an answer at the "
        f"end; r2 on held-out rows: {models}"
    )
    tell({"peers": figures, "test_r2": explained}, before, [_table(bouts), remark], as_json=as_json)


def _used(pipeline: Pipeline, folder: Path) -> list[Path]:
    """The files of the batches that Baton was trained on, on this machine."""
    folder.mkdir()
    store, found = pipeline.store, []
    for batch in store.names("used"):
        for part in store.manifest("used", batch).parts:
            found.append(folder / f"{batch}-{part.name}")
            with found[-1].open("wb") as file:
                file.writelines(store.files.chunks(f"{store.folder('used', batch)}/{part.name}"))
    return found


def ratios(bout: Bout, bouts: Sequence[Bout]) -> dict[str, float | None]:
    """How many times Baton's, at the same rate, a bout's median and its 99th percentile are."""
    baton = next(one.latency for one in bouts if one.who == BATON and one.rate == bout.rate)
    pairs = {"p50": (bout.latency.p50_ms, baton.p50_ms), "p99": (bout.latency.p99_ms, baton.p99_ms)}
    return {f"{name}_to_baton": own / other if own and other else None for name, (own, other) in pairs.items()}


def _table(bouts: Sequence[Bout]) -> Table:
    measured = ("answers/s", "p50 ms", "p99 ms", "worst ms", "p50 times", "p99 times")
    table = Table("requests/s", "who", *measured, "late p99 ms", "backlog", "missing", box=None)
    for bout in bouts:
        times = ["-" if ratio is None else f"{ratio:.2f}" for ratio in ratios(bout, bouts).values()]
        cells = [f"{bout.answered_a_second:.0f}", *quantiles(bout.latency), *times, quantiles(bout.late)[1]]
        table.add_row(f"{bout.rate:g}", bout.who, *cells, str(bout.backlog), str(bout.missing))
    return table
