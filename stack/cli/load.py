"""``./baton load``: locust with ``loadtest/locustfile.py`` against a running stack, its files, and its verdict."""

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from apps.common import starter
from apps.common.errors import Unavailable
from apps.common.files import keep_newest
from loadtest.gate import BROKEN, INTERRUPTED, Limits, Measured
from loadtest.load_shapes import LoadShape
from loadtest.peer import Peer
from stack.cli.bench.machine import machine, tell
from stack.cli.bench.peers import beside
from stack.cli.console import err, step
from stack.cli.interruption import ignored
from stack.cli.stack import Stack
from stack.environment import HOST, ROOT

KEPT = 10  # folders of as many loads
START_S, STOP_S = 60, 30


@dataclass(frozen=True)
class Load:
    """What is asked for; the flags of the locustfile by the same names say what each means."""

    rate: int
    seconds: float
    shape: LoadShape
    deadline: float
    limits: Limits
    processes: int = 1

    def flags(self) -> list[str]:
        """For locust."""
        told = {
            "rate": self.rate,
            "seconds": self.seconds,
            "shape": self.shape,
            "deadline": self.deadline,
            "slo-p50-ms": self.limits.p50_ms,
            "slo-p99-ms": self.limits.p99_ms,
            "slo-fail-ratio": self.limits.fail_ratio,
        }
        flags = [part for name, value in told.items() for part in (f"--{name}", str(value))]
        if self.processes > 1:
            port = str(_free_port())  # at locust's own the workers of another load would find this master
            flags += ["--processes", str(self.processes)]
            flags += ["--master-bind-host", HOST, "--master-bind-port", port, "--master-port", port]
        return flags

    def __str__(self) -> str:
        """In a few words."""
        return f"{self.rate} requests/s for {self.seconds:g} s, {self.shape}"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def run(stack: Stack, load: Load, *, through: bool, web: bool, as_json: bool) -> int:
    """
    Put the load on a running stack and return the exit code: 1 when the gate found something, 2 when interrupted.

    With ``through`` a loop that answers at once stands in for the server, on topics of its own: what is measured then
    is what the client costs by itself. With ``web`` locust's page is served until Ctrl-C, and starts the load;
    the exit code is that of the last one.
    """
    pipeline = stack.pipeline()
    loads = stack.state / "load"
    keep_newest(loads, KEPT - 1)
    folder = loads / time.strftime("%Y%m%d-%H%M%S")
    folder.mkdir(parents=True)
    with ExitStack() as ended:
        environment: Mapping[str, str] = pipeline.environment
        if through:
            environment, _ = ended.enter_context(beside(Peer.THROUGH, pipeline, folder))
        else:
            pipeline.require_served()
        if web:
            return _serve_page(environment, load)
        return measure(environment, load, folder, as_json=as_json)


def _serve_page(environment: Mapping[str, str], load: Load) -> int:
    err.print("locust's page: its address stands below; Ctrl-C ends it")
    with locust(environment, [*load.flags(), "--web-host", HOST]) as process, suppress(KeyboardInterrupt):
        process.wait()
    return process.returncode if process.returncode in (0, INTERRUPTED) else BROKEN


def measure(environment: Mapping[str, str], load: Load, folder: Path, *, as_json: bool) -> int:
    """Run it without a page, and tell what came of it; the exit code."""
    before, log, verdict = machine(), folder / "locust.log", folder / "verdict.json"
    files = ["--html", str(folder / "report.html"), "--csv", str(folder / "report"), "--verdict", str(verdict)]
    with step(str(load)) as line, log.open("wb") as told:
        flags = ["--headless", "--only-summary", *load.flags(), *files]
        with locust(environment, flags, told.fileno()) as process:
            try:
                process.wait(load.seconds + load.deadline + START_S)
            except KeyboardInterrupt:
                line.update("interrupted")
            except subprocess.TimeoutExpired as error:
                raise Unavailable(f"locust must end in {error.timeout:g} s; it runs on; see {log}") from error
    found = read_verdict(verdict, log)
    figures = {"load": {"shape": load.shape, "rate": load.rate, **found, "folder": str(folder)}}
    broken: list[str] = found["breaches"]
    measured = Measured(*(found[name] for name in Measured.__dataclass_fields__))
    tell(figures, before, [str(measured), f"report: {folder / 'report.html'}"], as_json=as_json)
    for sentence in broken:
        err.print(sentence)
    return int(found["exit_code"])


def read_verdict(verdict: Path, log: Path) -> dict[str, Any]:
    """What the gate wrote down; raises Unavailable with the end of the log when it wrote nothing."""
    try:
        return dict(json.loads(verdict.read_text()))
    except FileNotFoundError as error:
        tail = log.read_text(errors="replace").strip()[-1500:]
        raise Unavailable(f"locust must come to a verdict; it ended without one:\n{tail}") from error


@contextmanager
def locust(
    environment: Mapping[str, str], flags: Sequence[str], told: int | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Locust while the block runs; it ends, with its report, when its standard input does."""
    process = subprocess.Popen(
        [sys.executable, "-m", "locust", "-f", str(ROOT / "loadtest" / "locustfile.py"), *flags],
        cwd=ROOT,  # a file of the person's that is called as a module would be run, and a locust.conf be read
        env={**environment, "BATON_ENDS_WITH_STDIN": "1"},
        stdin=subprocess.PIPE,
        stdout=told,
        stderr=told,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        with ignored():
            starter.let_end(process, STOP_S)
