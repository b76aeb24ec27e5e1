"""
Prometheus: the one that is installed, otherwise Debian's package, unpacked into the cache and not installed.

``apt-get install`` would start a second one as the machine's own service, and needs root; unpacking does neither. It
scrapes each app of the plan that has a port for its figures, and judges them by the rules of stack/prometheus.
"""

import re
import shutil
import subprocess
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, Literal

import requests
import yaml
from pydantic import Field

from apps.common.errors import Unavailable
from apps.common.settings import Settings
from stack import cache
from stack.embedded.services.spec import ProcessSpec, StackContext
from stack.environment import HOST, ROOT, for_program
from stack.services import Service

NAME = "prometheus"
RULES = ROOT / "stack" / NAME / "alerts.yaml"
WEB = "usr/share/prometheus/web"  # of Debian's package; the program of others carries its pages inside
SCRAPE, EVALUATE = "5s", "15s"
KEPT, KEPT_SIZE = "14d", "512MB"  # whichever is reached first
READY_S = 2
DOWNLOAD_S = 300


class PrometheusSettings(Settings):
    """Whether there is one; it is no app, and reads nothing of the environment."""

    prometheus: Literal["on", "off"] = Field(
        default="off",
        description="Whether a Prometheus scrapes the apps. Embedded mode only: a cluster has its own.",
    )


def unpacked() -> Path | None:
    """The folder of the newest package in the cache."""
    found = [folder for folder in (cache.place() / NAME).glob("*") if (folder / "usr/bin" / NAME).exists()]
    return max(found, key=lambda folder: folder.stat().st_mtime, default=None)


def program(name: str = NAME) -> str | None:
    """Where ``prometheus``, or ``promtool`` beside it, is."""
    if installed := shutil.which(NAME):
        return str(Path(installed).with_name(name))
    folder = unpacked()
    return str(folder / "usr/bin" / name) if folder else None


def can_be_had() -> bool:
    """Whether it is there, or could be unpacked."""
    return program() is not None or bool(shutil.which("apt-get") and shutil.which("dpkg"))


def fetch() -> None:
    """Unpack Debian's package into the cache, unless there is one; raises Unavailable."""
    if program():
        return
    cache.root()
    with cache.scratch() as folder:
        _run(["apt-get", "-q", "download", NAME], folder)
        package = next(folder.glob("*.deb"))
        with cache.publish(cache.root() / NAME / package.stem) as filling:
            _run(["dpkg", "-x", str(package), str(filling)], folder)


def _run(command: Sequence[str], folder: Path) -> None:
    rule = f"{NAME} must be installed, or be a package that apt-get can download"
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env=for_program(command[0]),
            capture_output=True,
            text=True,
            timeout=DOWNLOAD_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unavailable(f"{rule}; got {error}; apt-get install {NAME}; brew install {NAME}") from error
    if done.returncode:
        said = (done.stderr.strip().splitlines() or ["nothing"])[-1]
        raise Unavailable(f"{rule}; {command[0]} said {said}; as root: apt-get update, or apt-get install {NAME}")


def configuration(services: Collection[Service], own: Service) -> dict[str, Any]:
    """What it reads: a job for itself and for each service that tells figures, under its name."""
    ports = {own.name: own.ports["http"]} | {
        service.name: service.ports["metrics"] for service in services if "metrics" in service.ports
    }
    return {
        "global": {"scrape_interval": SCRAPE, "evaluation_interval": EVALUATE},
        "rule_files": [RULES.name],
        "scrape_configs": [
            {"job_name": name, "static_configs": [{"targets": [f"{HOST}:{port}"]}]} for name, port in ports.items()
        ],
    }


def spec(context: StackContext, services: Collection[Service]) -> ProcessSpec:
    """How to run it beside ``services``."""
    folder, service = context.folder(NAME), context.service(NAME)
    address = service.address_at(HOST)

    def prepare() -> None:
        fetch()
        (folder / "prometheus.yaml").write_text(yaml.safe_dump(configuration(services, service)))
        shutil.copyfile(RULES, folder / RULES.name)  # a path to it would be a pattern

    def command() -> list[str]:
        own = unpacked()
        found = program() or NAME
        pages = [f"--web.local-assets={own / WEB}"] if own and Path(found).is_relative_to(own) else []
        return [
            found,
            "--config.file=prometheus.yaml",
            "--storage.tsdb.path=data",
            f"--storage.tsdb.retention.time={KEPT}",
            f"--storage.tsdb.retention.size={KEPT_SIZE}",
            f"--web.listen-address={HOST}:{service.ports['http']}",
            f"--web.cors.origin={re.escape(address)}",  # by default every page that a person visits may ask it
            *pages,
        ]

    def probe() -> None:
        requests.get(f"{address}/-/ready", timeout=READY_S).raise_for_status()

    return ProcessSpec(command, folder, probe=probe, prepare=prepare)
