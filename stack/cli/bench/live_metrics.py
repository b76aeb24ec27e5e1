"""``bench live-metrics``: how soon an outcome is in a figure, what joining costs those who wait, and its memory."""

import json
import math
import time
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from statistics import median

import psutil
from confluent_kafka import Message
from rich.table import Table

from apps import datasets
from apps.common.errors import DeadlineMissed
from apps.common.settings import kafka_access
from apps.common.waiting import pause, wait_until
from loadtest.recorder import arriving, positioned, sound
from loadtest.timing import Latency, distribution, latency
from loadtest.traffic import LiveLedger
from stack.cli.bench.bout import WARM_S
from stack.cli.bench.machine import machine, quantiles, tell
from stack.cli.bench.measured_stack import measured_stack
from stack.cli.bench.roll_outs import SMALL
from stack.cli.console import step
from stack.cli.demo import LIVE, Chronicle
from stack.cli.pipeline import Pipeline
from stack.cli.stack import Mode, Stack

SERVICE = "live-metrics"
JOINED_S = 120
SAMPLE_S = 5
MIB = 1024**2
NOTHING = Latency(0)
Grown = Sequence[tuple[float, int]]  # when (seconds since 1970), and how many were labelled then


@dataclass(frozen=True)
class MeasuredRun:
    """What answers met; and with live metrics the way from outcome to figure, and the memory at each sample."""

    answers: Latency
    missing: int
    predicted: int
    labelled: int = 0
    to_figure: Latency = NOTHING
    memory_mib: Sequence[float] = ()


def live_metrics(rate: float, seconds: float, *, as_json: bool) -> None:
    """The same traffic on a stack without live metrics, and then on one with them."""
    before = machine()
    without, beside = (_run(rate, seconds, wanted=wanted) for wanted in (False, True))
    table = Table("", "p50 ms", "p99 ms", "worst ms", box=None)
    table.add_row("answers, without live metrics", *quantiles(without.answers))
    table.add_row("answers, with live metrics", *quantiles(beside.answers))
    table.add_row("from outcome to figure", *quantiles(beside.to_figure))
    third = max(len(beside.memory_mib) // 3, 1)
    first, last = median(beside.memory_mib[:third]), median(beside.memory_mib[-third:])
    remark = (
        f"{rate:g} requests/s for {seconds:g} s; {beside.labelled:,} of {beside.predicted:,} predictions have their "
        f"outcome in a figure, p95 {beside.to_figure.p95_ms or 0:,.0f} ms after it came; missing answers: "
        f"{without.missing + beside.missing}; memory {first:.0f} MiB in the first third, {last:.0f} in the last, "
        f"{max(beside.memory_mib):.0f} at most"
    )
    tell({"without": asdict(without), "with": asdict(beside)}, before, [table, remark], as_json=as_json)


def _run(rate: float, seconds: float, *, wanted: bool) -> MeasuredRun:
    told = {**SMALL, LIVE: "on" if wanted else "off"}
    with measured_stack(Mode.EMBEDDED, **told) as stack:
        pipeline = stack.pipeline()
        Chronicle(pipeline).cycle()
        ledger, samples = LiveLedger(pipeline.environment, stack.state / "ledger"), []
        with step(f"{rate:g} requests/s {'with' if wanted else 'without'} live metrics"), ledger.traffic(rate):
            pause(WARM_S)
            began = time.time()
            while time.time() < began + seconds:
                samples += [_memory_mib(stack)] if wanted else []
                pause(SAMPLE_S)
        verdict = ledger.verdict([])
        answers = latency(wait for wait in verdict.waits if wait.sent_at >= began)
        run = MeasuredRun(answers, len(verdict.missing), verdict.answered - verdict.rejected)
        if not wanted:
            return run
        with step("outcomes joined"):
            rejected = {answer.request_id for answer in ledger.answers() if answer.prediction is None}
            delays, labelled = _delays(pipeline, rejected)
    return MeasuredRun(answers, run.missing, run.predicted, labelled, distribution(delays), samples)


def _memory_mib(stack: Stack) -> float:
    status = next(one for one in stack.runtime.status() if one.service == SERVICE)
    process = psutil.Process(int(status.instances[0]))
    return sum(one.memory_info().rss for one in [process, *process.children(recursive=True)]) / MIB


def _delays(pipeline: Pipeline, rejected: set[str]) -> tuple[list[float], int]:
    """Wait until every outcome is in a figure, and not for ever; milliseconds of each, and how many are."""
    low, high = datasets.get(pipeline.dataset).target_bounds
    came = sorted(
        one.timestamp()[1] / 1000
        for one in _records(pipeline, pipeline.names.outcomes)
        if (one.key() or b"").decode() not in rejected and low <= json.loads(one.value() or b"")["outcome"] <= high
    )
    found: list[tuple[float, int]] = []

    def complete() -> bool:
        found[:] = growth(_records(pipeline, pipeline.names.live_metrics))
        return bool(found) and found[-1][1] >= len(came)

    with suppress(DeadlineMissed):
        wait_until(complete, JOINED_S, "some outcomes are in no figure", every=2)
    return delays(came, found), found[-1][1] if found else 0


def _records(pipeline: Pipeline, topic: str) -> Iterator[Message]:
    """All that stand in a topic now."""
    consumer = positioned(kafka_access(pipeline.environment), "bench", [topic], from_beginning=True)
    try:
        marks = {place.partition: consumer.get_watermark_offsets(place) for place in consumer.assignment()}
        ends = {partition: high for partition, (low, high) in marks.items() if high > low}
        while ends:
            for message, _ in sound(arriving(consumer)):
                yield message
                partition = message.partition() or 0
                if (message.offset() or 0) + 1 >= ends.get(partition, math.inf):
                    del ends[partition]
    finally:
        consumer.close()


def growth(records: Iterator[Message]) -> list[tuple[float, int]]:
    """How many outcomes the figures had at which time, summed over all versions and windows."""
    labelled: dict[bytes, int] = {}
    grown: list[tuple[float, int]] = []
    for one in sorted(records, key=lambda record: record.timestamp()[1]):
        labelled[one.key() or b""] = json.loads(one.value() or b"{}").get("labelled", 0)  # drift's have none
        grown.append((one.timestamp()[1] / 1000, sum(labelled.values())))
    return grown


def delays(came: Sequence[float], grown: Grown) -> list[float]:
    """Milliseconds from the k-th outcome until the figures had k of them; those that none has are left out."""
    counts = [count for _, count in grown]
    places = [bisect_left(counts, number) for number in range(1, len(came) + 1)]
    return [(grown[place][0] - at) * 1000 for at, place in zip(came, places, strict=True) if place < len(grown)]
