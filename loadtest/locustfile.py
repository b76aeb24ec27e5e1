"""
Load by locust: open loop, over Kafka, with a gate whose verdict is the exit code.

``./baton load`` runs it against the stack that is here; by hand, after ``eval "$(./baton env)"``:
``locust -f loadtest/locustfile.py --headless --rate 500 --seconds 60 --html load.html --csv load``.

A user here is no one who waits: it stands for one request a second, and the wire of its process sends for all of
them. So locust's number of users is the rate, its workers share it, and its shapes, pages and reports all hold.
"""

import logging
import sys
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Callable
from typing import Any, Literal

from locust import LoadTestShape, User, events, stats, task  # before Kafka's client: it turns threads into greenlets
from locust.env import Environment
from locust.runners import MasterRunner, WorkerRunner

from apps import datasets
from apps.batch_dropper.settings import DropperSettings
from apps.batch_dropper.slice_store import SliceStore
from apps.common.errors import BatonError
from apps.common.logs import configure
from apps.common.settings import load
from apps.common.waiting import pause
from kafka.errors import KafkaError
from loadtest.gate import Limits, Measured, breaches
from loadtest.load_shapes import LoadShape, rate_at
from loadtest.wire import Row, Wire

MOST = 100_000  # requests a second
log = logging.getLogger(__name__)

stats.bucket_response_time = lambda ms: float(f"{ms:.3g}")  # locust's own are whole milliseconds below 100, then tens
logging.getLogger("locust.runners").addFilter(lambda record: "spawn rate is very high" not in record.msg)  # no threads


class LoadSettings(DropperSettings):
    """Where Kafka is, and which rows are asked about: those of ``./baton traffic``."""

    job: Literal["drop", "replay"] = "replay"


class Request(User):
    """One request a second."""

    @task
    def be_counted(self) -> None:
        pause(60)


class Course(LoadTestShape):
    """The rate by the clock, then a quiet time in which what is owed is answered or becomes overdue."""

    def tick(self) -> tuple[int, float] | None:
        """Locust asks about once a second."""
        options, elapsed = _options(self.runner.environment if self.runner else None), self.get_run_time()
        if elapsed >= options.seconds + options.deadline:
            return None
        return rate_at(LoadShape(options.shape), options.rate, options.seconds, elapsed), options.rate


def _options(environment: Environment | None) -> Any:
    return environment.parsed_options if environment else None


def _number(kind: type[int] | type[float], lowest: float, highest: float) -> Callable[[str], float]:
    def read(text: str) -> float:
        try:
            value = kind(text)
        except ValueError:
            value = kind(-1)
        if not lowest <= value <= highest:
            raise ArgumentTypeError(f"must be from {lowest:g} to {highest:g}; got {text!r}")
        return value

    return read


@events.init_command_line_parser.add_listener
def add_options(parser: ArgumentParser) -> None:
    """The flags of a load; each may be a variable instead, as locust's own may."""
    group: Any = parser.add_argument_group("Baton's load")
    flags = (
        ("rate", _number(int, 1, MOST), 100, "Requests a second, at the most of the shape."),
        ("seconds", _number(float, 1, 86_400), 60.0, "How long requests are sent."),
        ("deadline", _number(float, 0.1, 600), 10.0, "Seconds until a request without an answer is a failure."),
        ("slo-p50-ms", _number(float, 0, 600_000), 0.0, "The most that the median may be; 0 is no limit."),
        ("slo-p99-ms", _number(float, 0, 600_000), 0.0, "The most that the 99th percentile may be; 0 is no limit."),
        ("slo-fail-ratio", _number(float, 0, 1), 0.0, "The most of the requests that may be failures, 0 to 1."),
    )
    for name, kind, default, text in flags:
        variable = f"LOCUST_{name.upper().replace('-', '_')}"
        group.add_argument(f"--{name}", type=kind, default=default, env_var=variable, help=text)
    group.add_argument(
        "--shape", choices=[*LoadShape], default=LoadShape.STEADY, env_var="LOCUST_SHAPE", help="The course of the rate."
    )


@events.init.add_listener
def connect(environment: Environment, **_: Any) -> None:
    """Where requests are sent from: connect, and end the process when that fails."""
    runner = environment.runner
    if runner is None or isinstance(runner, MasterRunner):
        return

    def report(row: Row, ms: float, size: int, error: BaseException | None) -> None:
        environment.events.request.fire(
            request_type=row, name=topics[row], response_time=ms, response_length=size, exception=error, context={}
        )

    try:
        settings = load(LoadSettings)
        topics = _topics(settings)
        store = SliceStore(settings, datasets.get(settings.dataset), configure("load"))
        values = [request.value for request in store.requests()]
        wire = Wire(settings.kafka_access, settings.names, values, lambda: runner.user_count, report)
    except (BatonError, KafkaError) as error:
        sys.exit(f"a load must have a stack to send to; got: {error}")

    @environment.events.test_start.add_listener
    def begin(**_: Any) -> None:
        wire.under_way.deadline_s = _options(environment).deadline

    @environment.events.test_stop.add_listener
    def tell(**_: Any) -> None:
        log.info(
            "%s: a request was sent %.1f ms late at most; %d are still under way",
            *(wire.name, wire.worst_late_s * 1000, len(wire.under_way)),
        )

    @environment.events.quitting.add_listener
    def close(**_: Any) -> None:
        wire.stop()

    wire.start()


def _topics(settings: DropperSettings) -> dict[Row, str]:
    return {Row.PRODUCE: settings.names.requests, Row.PREDICT: settings.names.answers}


@events.quitting.add_listener
def judge(environment: Environment, **_: Any) -> None:
    """The gate: of a load with workers the one who gathers what they counted judges."""
    environment.process_exit_code = 0
    if isinstance(environment.runner, WorkerRunner):
        return
    row = next((entry for (_, method), entry in environment.stats.entries.items() if method == Row.PREDICT), None)
    measured = Measured(0, 0, 0, 0)
    if row:
        quantiles = (row.get_response_time_percentile(share) for share in (0.5, 0.99))
        measured = Measured(row.num_requests, row.num_failures, *quantiles)
    options = _options(environment)
    broken = breaches(measured, Limits(options.slo_p50_ms, options.slo_p99_ms, options.slo_fail_ratio))
    print(measured)
    for sentence in broken:
        print(sentence, file=sys.stderr)
    environment.process_exit_code = 1 if broken else 0
