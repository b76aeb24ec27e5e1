"""Where a person finds what runs: addresses for a browser or a client, and where data and logs lie."""

import os
import webbrowser
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from rich.table import Table

from apps.common.errors import Unavailable
from stack import services
from stack.cli.stack import Mode, Stack
from stack.environment import HOST, has_display
from stack.preflight import answers

BLOCK = 512  # bytes, the unit in which a file system counts
KIB = 1024


@dataclass(frozen=True)
class Address:
    """What is found at ``url``; ``page`` is the word for it in ``./baton open``, "" when no browser can show it."""

    name: str
    url: str
    page: str = ""


def addresses(stack: Stack) -> list[Address]:
    """What a person connects to; it need not run."""
    runtime, http = stack.runtime, services.load().service("namenode").ports["http"]
    asked = services.load().service("gateway").is_on(stack.settings) and stack.mode is Mode.EMBEDDED
    scraped = services.load().service("prometheus").is_on(stack.settings)
    return [
        Address("MLflow", runtime.address("mlflow"), "mlflow"),
        # HDFS is published without its web pages; a browser shows its folders as JSON.
        Address("HDFS, a folder as JSON", f"http://{HOST}:{http}/webhdfs/v1/?op=LISTSTATUS", "hdfs"),
        Address("HDFS", runtime.address("namenode")),
        Address("Kafka, bootstrap", runtime.address("kafka")),
        Address("Postgres", runtime.address("postgres")),
        *([Address("Gateway, its doors at /docs", runtime.address("gateway"))] if asked else []),
        *([Address("Prometheus", runtime.address("prometheus"))] if scraped else []),
    ]


def page_url(stack: Stack, page: str) -> str:
    """The address of a page; raises Unavailable when the stack is down or nothing answers there."""
    url = next(address.url for address in addresses(stack) if address.page == page)
    port = urlsplit(url).port
    if not stack.running() or port is None or not answers(port):
        raise Unavailable(f"{page} must be up; nothing answers at {url}; run ./baton up")
    return url


def show(url: str) -> bool:
    """Whether a browser with a window could be asked to open ``url``; one in this terminal is never started."""
    return has_display() and webbrowser.open(url)


def used_bytes(folder: Path) -> int:
    """The disk space that a folder takes; what vanishes meanwhile counts as nothing."""
    total = 0
    for path, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(path, name)).st_blocks * BLOCK  # noqa: PTH118 - thousands of files
            except OSError:
                continue
    return total


def as_size(size: float) -> str:
    """Bytes with a unit: three digits are enough."""
    for unit in ("B", "KiB", "MiB"):
        if size < KIB:
            return f"{size:.0f} {unit}"
        size /= KIB
    return f"{size:.1f} GiB"


def places(stack: Stack) -> dict[str, dict[str, object]]:
    """Where data and logs lie, and how many bytes each takes (None: only Docker knows)."""
    if stack.mode is Mode.CLUSTER:
        node = "the Docker container baton-control-plane"
        return {"data": {"path": node, "bytes": None}, "logs": {"path": f"{node}: ./baton logs", "bytes": None}}
    logs = stack.state / "logs"
    return {
        "data": {"path": str(stack.state), "bytes": used_bytes(stack.state)},
        "logs": {"path": str(logs), "bytes": used_bytes(logs)},
    }


def as_json(stack: Stack) -> dict[str, object]:
    """Addresses and places for programs."""
    return {"addresses": {address.name: address.url for address in addresses(stack)}, **places(stack)}


def table(stack: Stack) -> Table:
    """Addresses and places for a person; a long one is folded, never cut."""
    rows = Table.grid("name", "where", padding=(0, 2))
    for address in addresses(stack):
        rows.add_row(address.name, address.url, f"./baton open {address.page}" if address.page else "")
    for name, place in places(stack).items():
        size = place["bytes"]
        rows.add_row(name, str(place["path"]), as_size(size) if isinstance(size, int) else "")
    return rows
