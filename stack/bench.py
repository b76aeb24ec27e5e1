"""``./baton bench``: figures, never verdicts; each run names the machine and its load."""

import json
import os
import time
from dataclasses import asdict

import psutil
from rich.table import Table

from apps.common.waiting import pause
from loadtest.timing import latency
from loadtest.traffic import LiveLedger
from stack.console import out, step
from stack.demo import Chronicle, stack_of_its_own

MIB = 2**20
SETTLED_S = 20  # an idle figure is taken this long after the stack is ready
WARM_S = 15  # requests before those that are measured


def machine() -> dict[str, object]:
    """What a figure was measured on."""
    return {
        "cores": psutil.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "load": [round(one, 2) for one in os.getloadavg()],
    }


def _resident(process: psutil.Process) -> int:
    """Memory of its own in bytes: shared pages are counted once per process that shares them."""
    try:
        return int(process.memory_full_info().pss)
    except (psutil.Error, AttributeError):
        return int(process.memory_info().rss)


def up(*, as_json: bool) -> None:
    """Cold up (a new state folder), warm up (the same folder again), and memory when idle."""
    found: dict[str, object] = {"machine": machine()}
    with stack_of_its_own("bench", "used_cars", None) as session:
        found["cold_s"] = session.seconds_up
        session.runtime.down()
        session.up("used_cars", None)
        found["warm_s"] = session.seconds_up
        with step("idle"):
            pause(SETTLED_S)
        services = {
            str(one["service"]): round(
                sum(
                    _resident(process)
                    for process in [
                        psutil.Process(int(one["pid"])),
                        *psutil.Process(int(one["pid"])).children(recursive=True),
                    ]
                )
                / MIB
            )
            for one in session.runtime.status()
            if one.get("pid")
        }
    found["idle_mib"] = services
    found["idle_total_mib"] = sum(services.values())
    if as_json:
        print(json.dumps(found, indent=1))
        return
    shown = Table("service", "MiB", box=None)
    for service, mib in services.items():
        shown.add_row(service, str(mib))
    shown.add_row("all", str(found["idle_total_mib"]))
    out.print(shown)
    out.print(f"up: cold {found['cold_s']:.1f} s, warm {found['warm_s']:.1f} s; machine: {found['machine']}")


def serve(rates: list[float], seconds: float, *, as_json: bool) -> None:
    """Train on one batch, then measure the latency of its version at each rate, open loop."""
    figures = []
    with stack_of_its_own("bench", "used_cars", None) as session:
        pipeline = session.pipeline()
        Chronicle(pipeline).cycle()
        for rate in rates:
            ledger = LiveLedger(pipeline.environment, session.state / f"ledger-{rate:g}")
            with step(f"{rate:g} requests/s for {seconds:g} s"), ledger.traffic(rate):
                pause(WARM_S)
                warm_until = time.time()
                pause(seconds)
            verdict = ledger.verdict([])
            measured = latency([wait for wait in verdict.waits if wait.sent_at >= warm_until])
            figures.append({"rate": rate, "missing": len(verdict.missing), **asdict(measured)})
    if as_json:
        print(json.dumps({"machine": machine(), "serve": figures}, indent=1))
        return
    shown = Table("requests/s", "answers", "p50 ms", "p95 ms", "p99 ms", "p99.9 ms", "worst ms", "missing", box=None)
    for figure in figures:
        numbers = [f"{figure[key]:.1f}" for key in ("p50_ms", "p95_ms", "p99_ms", "p999_ms", "worst_ms")]
        shown.add_row(f"{figure['rate']:g}", f"{figure['count']:,}", *numbers, str(figure["missing"]))
    out.print(shown)
    out.print(f"open loop, after {WARM_S} s of warm-up; machine: {machine()}")
