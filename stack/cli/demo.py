"""
``./baton demo``: the whole story on a stack of its own, which is gone afterwards whatever happens.

Batch, training, version, serving; then, under traffic, the next batch, its version and the hand-over; then the proof.
"""

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from apps.common.errors import BatonError, DeadlineMissed
from apps.common.files import alone, keep_newest, remove_folder
from apps.common.registry import TRAINING_SECONDS
from apps.common.waiting import pause, wait_until
from loadtest import chart
from loadtest.ledger import Verdict, problems
from loadtest.report import DROP, HANDOVER, TRAINED, BatchRow, Event, Timeline, VersionRow, as_number, render, table
from loadtest.timing import latency, outside
from loadtest.traffic import LiveLedger
from stack.cli.console import err, out, show, step
from stack.cli.interruption import ignored
from stack.cli.os_errors import require_writable
from stack.cli.pipeline import Pipeline, Withheld
from stack.cli.stack import Mode, Stack, named
from stack.cli.status import LIVE_METRICS
from stack.services import KAFKA

if TYPE_CHECKING:
    from apps.common.batches import Batch

LEDGERS_KEPT = 10  # of as many runs of ./baton traffic
CALM_S = 20  # traffic before the second batch and after the hand-over
OUTCOMES_S = 60  # for the last outcomes to come, and to be joined
KNOWN = 0.98  # share of the predictions after which nobody waits: some rows have a true value that is not believed
MIN_VERSIONS = 2
LIVE = "BATON_LIVE_METRICS"
ERRORS = ("test_rmse", "live_rmse", "test_log_loss", "live_log_loss", "live_labelled")


@contextmanager
def stack_of_its_own(
    name: str, dataset: str, source: Path | None, mode: Mode = Mode.EMBEDDED, **settings: str
) -> Iterator[Stack]:
    """
    A fresh stack while the block runs; afterwards its processes are gone, and its data too unless it failed.

    Topics in a Kafka that is not the stack's own stay, and begin with ``name`` and ``dataset``.
    """
    stack = Stack(name, mode)
    rule = f"./baton {name} must be the only one in this checkout"
    refusal = BatonError(f"{rule}; got another that runs; wait for its end, or end it by Ctrl-C")
    with alone(stack.state.with_name(f".{stack.state.name}.lock"), refusal):
        yield from _stack_of_its_own(stack, dataset, source, **settings)


def _stack_of_its_own(stack: Stack, dataset: str, source: Path | None, **settings: str) -> Iterator[Stack]:
    if KAFKA in settings:  # where the person's own stack, of the name that all have by default, may be at work
        settings = {"BATON_STACK": f"{stack.name}-{dataset}".replace("_", "-"), **settings}
    require_free_ports(stack)
    stack.runtime.wipe()
    remove_folder(stack.state)
    kept = False
    try:
        stack.up(dataset, source, quiet=True, **settings)
        yield stack
    except Exception:
        kept = stack.state.exists()  # a failure keeps its data and logs until the next start
        if kept:
            err.print(f"the logs are in {stack.state / 'logs'}")
        raise
    finally:
        with ignored(), step("everything that was started is ended"):
            if kept:
                stack.runtime.down()
            else:
                stack.runtime.wipe()
                remove_folder(stack.state)


def require_free_ports(wanted: Stack) -> None:
    """Raise BatonError when another stack of this checkout runs, in whichever mode."""
    for mode in Mode:
        for stack in (Stack(mode=mode), *named(mode)):
            if stack.state != wanted.state and stack.running():
                first = f"run ./baton down --mode {mode} first"
                raise BatonError(f"the ports must be free; the stack in {stack.state} uses them; {first}")


class Chronicle:
    """What happened when, for the report."""

    def __init__(self, pipeline: Pipeline) -> None:
        """Nothing has happened yet."""
        self.pipeline = pipeline
        self.events: list[Event] = []
        self.batches: list[Batch] = []

    def note(self, label: str, kind: str) -> None:
        """Something happened now."""
        self.events.append(Event(time.time(), label, kind))

    def cycle(self) -> str:
        """One turn of the loop: a batch lands, its version is trained and serves; return it, or raise Withheld."""
        with step("a batch lands in HDFS") as landed:
            batch = self.pipeline.drop_batch()
            self.batches.append(batch)
            landed.update(f"{batch.name}, {batch.rows:,} rows")
            self.note(f"{batch.name} lands", DROP)
        with step(f"training on {batch.name}") as trained:
            try:
                version = self.pipeline.wait_for_version_trained_on(batch, progress=trained.update)
            except Withheld:
                self.note(f"the version of {batch.name} is withheld", TRAINED)
                raise
            trained.update(f"version {version}")
            self.note(f"version {version} is champion", TRAINED)
        with step(f"roll-out of version {version}") as rolled:
            self.pipeline.wait_until_served(version)
            rolled.update("serving")
            self.note(f"version {version} serves", HANDOVER)
        return version

    def story(self) -> Timeline:
        """Everything so far, with what MLflow knows of each version."""
        versions, quarantined = [], {}
        for version in self.pipeline.versions():
            metrics = self.pipeline.metrics(version)
            told = {name: value for name, value in metrics.items() if name.startswith("test_") or name in LIVE_METRICS}
            batch = version.tags.get("batch", "")
            seconds = metrics.get(TRAINING_SECONDS)
            versions.append(VersionRow(version.version, batch, told, seconds, version.withheld))
            quarantined[batch] = int(metrics.get("batch_quarantined", 0))
        rows = [
            BatchRow(batch.name, batch.rows, batch.content_hash, quarantined.get(batch.name)) for batch in self.batches
        ]
        return Timeline(self.pipeline.dataset, self.events, rows, versions)


def tell(stack: Stack, rate: float) -> tuple[Verdict, Timeline]:
    """The story on a running stack; return the checker's verdict and what the report needs."""
    pipeline = stack.pipeline()
    chronicle = Chronicle(pipeline)
    ledger = LiveLedger(pipeline.environment, stack.state / "ledger")
    versions = [chronicle.cycle()]
    with ledger.traffic(rate):
        with step(f"{rate:g} requests/s, version {versions[-1]} serves"):
            pause(CALM_S)
        with suppress(Withheld):  # the first one serves on, which the report tells
            versions.append(chronicle.cycle())
        with step(f"{rate:g} requests/s, version {versions[-1]} serves"):
            pause(CALM_S)
    with step("every answer compared with what the version it names predicts"):
        verdict = ledger.verdict(pipeline.expected(versions))
    if stack.settings.get(LIVE) == "on":
        with step("predictions joined with their outcomes") as joined:
            joined.update(_joined(pipeline, verdict.answered - verdict.rejected))
    return verdict, chronicle.story()


def _joined(pipeline: Pipeline, predictions: int) -> str:
    """Wait until the outcomes of nearly all predictions are known, and not for long; how many are."""

    def known() -> float:
        return sum(pipeline.metrics(version).get("live_labelled", 0) for version in pipeline.versions())

    with suppress(DeadlineMissed):
        wait_until(lambda: known() >= KNOWN * predictions, OUTCOMES_S, "some outcomes are not known", every=1)
    return f"{known():,.0f} of {predictions:,}"


@dataclass(frozen=True)
class Outputs:
    """Where the outcome of a demo goes, beside the terminal."""

    report: Path
    json_file: Path | None = None
    picture: Path | None = None
    as_json: bool = False  # to stdout, in place of the table

    def require_writable(self) -> None:
        """Raise BatonError when a file cannot be written: better now than after five minutes."""
        for file in filter(None, (self.report, self.json_file, self.picture)):
            require_writable(file)
        if self.picture and self.picture.suffix != ".png":
            raise BatonError(f"--picture must end in .png; got {self.picture}; rename it")


def run(
    mode: Mode, dataset: str, source: Path | None, settings: Mapping[str, str], rate: float, outputs: Outputs
) -> None:
    """Tell the story, print its table, write its report; raise BatonError when something was lost or wrong."""
    outputs.require_writable()
    settings = {LIVE: "on", **settings}
    started = time.monotonic()
    with stack_of_its_own("demo", dataset, source, mode, **settings) as stack:
        verdict, story = tell(stack, rate)
        if outputs.as_json:
            print(json.dumps(verdict.to_json()))
        else:
            _print_outcome(verdict, story)
        render(verdict, story, outputs.report)
        if outputs.picture:
            chart.write_png(verdict, story.drops(), story.trainings(), outputs.picture)
        if outputs.json_file:
            outputs.json_file.write_text(json.dumps(verdict.to_json()) + "\n")
        if not outputs.as_json:
            out.print(f"report: {outputs.report}  ({time.monotonic() - started:.0f} s in all)")
        wrong = [
            f"version {row.version} was not made champion: {row.withheld}" for row in story.versions if row.withheld
        ]
        if wrong := [*wrong, *problems(verdict, MIN_VERSIONS, must_compare=True)]:
            raise BatonError("\n".join(wrong))


def _print_outcome(verdict: Verdict, story: Timeline) -> None:
    show(table(verdict))
    calm = latency(outside(verdict.waits, [span for span, _ in story.trainings()]))
    if calm.p50_ms is not None and calm.p99_ms is not None:
        out.print(f"outside the training: p50 {calm.p50_ms:.1f} ms, p99 {calm.p99_ms:.1f} ms")
    for version in story.versions:
        errors = ", ".join(f"{name} {as_number(version.metrics[name])}" for name in ERRORS if name in version.metrics)
        out.print(f"version {version.version}: {errors}")


def traffic(stack: Stack, rate: float, seconds: float, *, as_json: bool) -> int:
    """Send requests to a running stack until Ctrl-C (or for ``seconds``); return the exit code."""
    pipeline = stack.pipeline()
    pipeline.require_served()
    ledgers = stack.state / "ledger"
    keep_newest(ledgers, LEDGERS_KEPT - 1)
    ledger = LiveLedger(pipeline.environment, ledgers / time.strftime("%Y%m%d-%H%M%S"))
    until = f"for {seconds:g} s" if seconds else "until Ctrl-C"
    with step(f"{rate:g} requests/s {until}") as line, ledger.traffic(rate, seconds), suppress(KeyboardInterrupt):
        ledger.watch(line.update)
    verdict = ledger.verdict([])
    if as_json:
        print(json.dumps(verdict.to_json()))
    else:
        show(table(verdict))
    wrong = problems(verdict)
    for sentence in wrong:
        err.print(sentence)
    return 1 if wrong else 0
