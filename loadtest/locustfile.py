"""
Load by locust: open loop, over Kafka, with a gate whose verdict is the exit code.

``./baton load`` runs it against the stack that is here; by hand, after ``eval "$(./baton env)"``:
``locust -f loadtest/locustfile.py --headless --rate 500 --seconds 60 --html load.html --csv load``.

A user here is no one who waits: it stands for one request a second, and the wire of its process sends for all of
them. So locust's number of users is the rate, its workers share it, and its shapes, pages and reports all hold.
"""

import json
import logging
import signal
import sys
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

import gevent
from gevent.os import tp_read
from locust import LoadTestShape, User, events, stats, task  # it turns threads into greenlets: before Kafka's client
from locust.env import Environment
from locust.runners import MasterRunner, Runner, WorkerRunner

from apps import datasets
from apps.batch_dropper.settings import DropperSettings
from apps.batch_dropper.slice_store import SliceStore
from apps.common.errors import BatonError
from apps.common.logs import configure
from apps.common.settings import load
from apps.common.waiting import pause
from loadtest.gate import BROKEN, HOLDS, INTERRUPTED, Limits, Measured, breaches, clients_part, verdict
from loadtest.load_shapes import LoadShape, rate_at
from loadtest.schedule import LoadTally
from loadtest.wire import Row, Wire

MOST = 100_000  # requests a second
TICKS_S = 2  # a change of the rate is up to a second late
TALLY = "tally"  # in what a worker reports every few seconds
HERE = "here"  # what stands for a worker where there is none
log = logging.getLogger("load")

stats.bucket_response_time = lambda ms: float(f"{ms:.3g}")  # locust's own are whole milliseconds below 100, then tens
logging.getLogger("locust.runners").addFilter(lambda record: "spawn rate is very high" not in str(record.msg))
logging.getLogger("kafka").setLevel(logging.WARNING)


class LoadSettings(DropperSettings):
    """Where Kafka is, and which rows are asked about: those of ``./baton traffic``."""

    job: Literal["drop", "replay"] = "replay"


class RequestPerSecond(User):
    """One request a second."""

    @task
    def be_counted(self) -> None:
        """Be there."""
        pause(60)


class Course(LoadTestShape):
    """The rate by the clock, then a quiet time in which what is owed is answered or becomes overdue."""

    runner: Runner

    def __init__(self) -> None:
        """Every worker is there."""
        super().__init__()
        self.tallies: dict[str, LoadTally] = {}  # of workers that can send: locust believes it of each from the first
        self.lost: set[str] = set()  # workers that died: what they had counted last is not known
        self.began = False
        self.over = False  # and nobody interrupted it

    @property
    def tally(self) -> LoadTally:
        """Of all workers, as they told it last."""
        tallies = self.tallies.values()
        return LoadTally(sum(tally.due for tally in tallies), sum(tally.sent for tally in tallies))

    def tick(self) -> tuple[int, float] | None:
        """Locust asks about once a second."""
        options: Any = self.runner.environment.parsed_options
        self.began, self.over = True, False
        if isinstance(self.runner, MasterRunner):
            missing = {worker.id for worker in self.runner.clients.missing}
            self.lost |= missing
            if {worker.id for worker in self.runner.clients.all} - missing - self.tallies.keys():
                self.reset_time()
                return 0, options.rate
        elapsed = self.get_run_time()
        self.over = elapsed >= options.seconds + options.deadline + TICKS_S
        if self.over:
            return None
        return rate_at(LoadShape(options.shape), options.rate, options.seconds, elapsed), options.rate


def _number(kind: type[int | float], lowest: float, highest: float) -> Callable[[str], float]:
    def read(text: str) -> float:
        rule = f"must be from {lowest:g} to {highest:g}; got {text!r}"
        try:
            value = kind(text)
        except ValueError as error:
            raise ArgumentTypeError(rule) from error
        if not lowest <= value <= highest:
            raise ArgumentTypeError(rule)
        return value

    return read


@events.init_command_line_parser.add_listener
def add_options(parser: ArgumentParser) -> None:
    """The flags of a load; each may be a variable instead, as locust's own may."""
    ms = _number(float, 0, 600_000)
    flags: tuple[tuple[str, Any, Any, str], ...] = (
        ("--rate", _number(int, 1, MOST), 100, "Requests a second, at the most of the shape."),
        ("--seconds", _number(float, 1, 86_400), 60.0, "How long requests are sent."),
        ("--deadline", _number(float, 0.1, 600), 10.0, "Seconds until a request without an answer is a failure."),
        ("--slo-p50-ms", ms, 0.0, "The most that the median may be; 0 is no limit."),
        ("--slo-p99-ms", ms, 0.0, "The most that the 99th percentile may be; 0 is no limit."),
        ("--slo-fail-ratio", _number(float, 0, 1), 0.0, "The most of the requests that may be failures, 0 to 1."),
        ("--verdict", str, "", "A file for what the gate found, as JSON."),
    )
    group: Any = parser.add_argument_group("Load on Baton")
    for flag, kind, default, text in flags:
        group.add_argument(flag, type=kind, default=default, env_var=_variable(flag), help=text)
    shapes = [str(shape) for shape in LoadShape]
    group.add_argument(
        "--shape", choices=shapes, default=shapes[0], env_var=_variable("--shape"), help="The course of the rate."
    )


def _variable(flag: str) -> str:
    return f"LOCUST_{flag.strip('-').upper().replace('-', '_')}"


@events.init.add_listener
def begin(environment: Environment, **_: Any) -> None:
    """Connect where requests are sent from; end the process when there is nothing to connect to."""
    runner = environment.runner
    try:
        settings = load(LoadSettings)
        if settings.ends_with_stdin and not isinstance(runner, WorkerRunner):  # a worker ends with its master
            gevent.spawn(_end_with_stdin, environment)
        if isinstance(runner, MasterRunner):
            environment.events.worker_report.add_listener(_note_tally(environment.shape_class))
        elif runner:
            _connect(environment, runner, settings)
    except BatonError as error:
        sys.exit(f"error: {error}")
    gevent.signal_handler(signal.SIGINT, _end, environment)  # a KeyboardInterrupt in a thread of the wire is lost


def _note_tally(course: Course) -> Callable[..., None]:
    def note(client_id: str, data: dict[str, Any], **_: Any) -> None:
        if TALLY in data:
            course.tallies[client_id] = LoadTally(**data[TALLY])

    return note


def _end_with_stdin(environment: Environment) -> None:
    """As ``apps.common.starter``, whose thread would be a greenlet here, and hold up all others."""
    while tp_read(0, 1):
        pass
    _end(environment)


def _end(environment: Environment) -> None:
    environment.runner.quit()
    if environment.web_ui:
        environment.web_ui.stop()


def _connect(environment: Environment, runner: Runner, settings: LoadSettings) -> None:
    names = settings.names
    topics = {Row.PRODUCE: names.requests, Row.PREDICT: names.answers}
    store = SliceStore(settings, datasets.get(settings.dataset), configure("load"))
    values = [request.value for request in store.requests()]

    def report(row: Row, ms: float, size: int, error: BaseException | None) -> None:
        environment.events.request.fire(
            request_type=str(row), name=topics[row], response_time=ms, response_length=size, exception=error, context={}
        )

    def deadline() -> float:
        options: Any = environment.parsed_options  # a worker gets its master's with the first users
        return float(options.deadline)

    wire = Wire(settings.kafka_access, names, values, lambda: runner.user_count, deadline, report)

    def tell(**_: Any) -> None:
        late, rest = wire.worst_late_s * 1000, len(wire.under_way)
        log.info("%s sent a request %.1f ms after it was due at worst; %d are under way still", wire.name, late, rest)

    def begin_anew(**_: Any) -> None:
        wire.begin_anew()
        if not isinstance(runner, WorkerRunner):
            environment.shape_class.tallies[HERE] = wire.tally

    environment.events.test_start.add_listener(begin_anew)
    environment.events.report_to_master.add_listener(lambda data, **_: data.update({TALLY: asdict(wire.tally)}))
    environment.events.test_stop.add_listener(tell)
    environment.events.quitting.add_listener(lambda **_: wire.stop())
    wire.start()


@events.quitting.add_listener
def judge(environment: Environment, **_: Any) -> None:
    """The gate; of a load with workers the one who gathers what they counted judges."""
    environment.process_exit_code = HOLDS
    options: Any = environment.parsed_options
    course = environment.shape_class
    if isinstance(environment.runner, WorkerRunner) or not (course.began or options.headless):
        return
    measured = _measured(environment)
    broken = _broken(environment, course, measured)
    interrupted = not course.over
    if interrupted:
        rest = max(0, course.tally.sent - measured.requests)
        broken.insert(0, f"a load must run to its end; it was interrupted; {rest} requests were under way")
    code = INTERRUPTED if interrupted else BROKEN if broken else HOLDS
    if options.verdict:
        Path(options.verdict).write_text(json.dumps(verdict(measured, broken, code)) + "\n")
    print(measured)
    for sentence in broken:
        print(sentence, file=sys.stderr)
    environment.process_exit_code = code


def _broken(environment: Environment, course: Course, measured: Measured) -> list[str]:
    """What is wrong with a load, whether it ran to its end or not."""
    options: Any = environment.parsed_options
    produced = _row(environment, Row.PRODUCE)
    broken = breaches(measured, Limits(options.slo_p50_ms, options.slo_p99_ms, options.slo_fail_ratio))
    if course.lost:
        broken.append(f"every worker must be there to the end; got {len(course.lost)} that died with what they counted")
    if course.over:
        if (rest := produced.num_requests - measured.requests) > 0:
            broken.append(
                f"every request must be answered or overdue in the end; got {rest} that are neither; see the log"
            )
        most_ms = options.slo_p99_ms or options.deadline * 1000
        broken += clients_part(course.tally, produced.get_response_time_percentile(0.99), most_ms)
    return broken


def _measured(environment: Environment) -> Measured:
    row = _row(environment, Row.PREDICT)
    p50, p99 = map(row.get_response_time_percentile, (0.5, 0.99))
    return Measured(row.num_requests, row.num_failures, p50, p99)


def _row(environment: Environment, row: Row) -> stats.StatsEntry:
    """What was counted; nothing when there is no such row yet."""
    found = (entry for (_, kind), entry in environment.stats.entries.items() if kind == row)
    return next(found, stats.StatsEntry(environment.stats, "", row))
