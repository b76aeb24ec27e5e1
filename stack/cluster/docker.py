"""Docker on this machine, by its API: a client, what it has, and what is wrong with it for a cluster."""

from functools import cache
from typing import Any

import docker
from docker.errors import DockerException

from apps.common.errors import Unavailable
from stack.cluster import capabilities

FITTING_RUNTIME = "fit"  # what ``./baton cluster from-source`` calls the runtime that asks for less
PATIENCE_S = 600


@cache
def client() -> docker.DockerClient:
    """Docker's API on this machine; raises Unavailable when it does not answer."""
    try:
        return docker.from_env(timeout=PATIENCE_S)
    except DockerException as error:
        raise unanswered(error) from error


def unanswered(error: Exception) -> Unavailable:
    """The error of a Docker that does not answer."""
    return Unavailable(
        f"Docker must answer on this machine; got {error}; ./baton doctor --mode cluster says what to do"
    )


def has_image(reference: str) -> bool:
    """Whether Docker has an image."""
    try:
        return bool(client().images.list(name=reference))
    except DockerException as error:
        raise unanswered(error) from error


def size(reference: str) -> int:
    """The bytes of all files in the layers of an image."""
    return int(_inspect(reference)["Size"])


def configuration(reference: str) -> dict[str, Any]:
    """How a container of an image is started: its entry point, its environment and the like."""
    return dict(_inspect(reference)["Config"])


def _inspect(reference: str) -> dict[str, Any]:
    try:
        return dict(client().images.get(reference).attrs)
    except DockerException as error:
        raise unanswered(error) from error


@cache
def architecture() -> str:
    """The machine that images are built for, as the kernel names it: x86_64 or aarch64."""
    try:
        name = str(client().info().get("Architecture", "x86_64"))
    except DockerException as error:
        raise unanswered(error) from error
    return {"arm64": "aarch64", "amd64": "x86_64"}.get(name, name)


def info() -> dict[str, Any]:
    """What Docker says of itself; nothing when it does not answer."""
    try:
        return dict(client().info())
    except (DockerException, Unavailable):
        return {}


def problems(docker_info: dict[str, Any]) -> list[str]:
    """Why a cluster cannot run on the Docker of this machine, which says ``docker_info``; empty when it can."""
    if not docker_info.get("ServerVersion"):
        return ["no daemon answers"]
    found = []
    withheld, runtime = capabilities.missing(), docker_info.get("DefaultRuntime")
    if withheld and runtime != FITTING_RUNTIME:
        found.append(
            f"its default runtime must be {FITTING_RUNTIME!r} on a machine without {', '.join(withheld)}; got "
            f"{runtime!r}; stop this dockerd, then run ./baton cluster from-source"
        )
    if "containerd.snapshotter" in str(docker_info.get("DriverStatus", "")):
        found.append(
            "its image store must be its own (the node cannot take images from containerd's); got containerd's; set "
            '"features": {"containerd-snapshotter": false} in /etc/docker/daemon.json and restart Docker'
        )
    return found
