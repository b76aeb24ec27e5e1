"""
The configuration that kind gets: kind-config.yaml, and what this machine needs beside it.

The file itself stays that of an ordinary machine. Where ``./baton cluster from-source`` made a node image, it left an
overlay in the cache, which names that image and the feature gates that this machine needs.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from stack import cache
from stack.cluster import docker
from stack.environment import ROOT

FILE = ROOT / "kind-config.yaml"
NAME: str = yaml.safe_load(FILE.read_text())["name"]


def overlay_file() -> Path:
    """Where the overlay is, if there is one."""
    return cache.root() / "kind-overlay.yaml"


def overlay() -> dict[str, Any]:
    """The overlay for this machine; it names an image only as long as Docker has it."""
    try:
        found: dict[str, Any] = yaml.safe_load(overlay_file().read_text()) or {}
    except FileNotFoundError:
        return {}
    image = found.get("image")
    return found if image is None or docker.has_image(image) else {**found, "image": None}


def has_node_image() -> bool:
    """Whether the node is one that was made on this machine."""
    return bool(overlay().get("image"))


def text(name: str) -> str:
    """The configuration of a cluster called ``name`` on this machine."""
    return lay_over(FILE.read_text(), name, overlay())


def lay_over(config: str, name: str, over: Mapping[str, Any]) -> str:
    """The text of ``config`` for a cluster called ``name``, with the image and the feature gates of an overlay."""
    read: dict[str, Any] = yaml.safe_load(config)
    read["name"] = name
    if image := over.get("image"):
        for node in read["nodes"]:
            node["image"] = image
    if gates := over.get("featureGates"):
        read["featureGates"] = {**read.get("featureGates", {}), **gates}
    return yaml.safe_dump(read, sort_keys=False)


def ports() -> set[tuple[str, int]]:
    """The addresses and ports of this machine that the cluster's node must have."""
    mapped = yaml.safe_load(FILE.read_text())["nodes"][0]["extraPortMappings"]
    return {(mapping["listenAddress"], mapping["hostPort"]) for mapping in mapped}
