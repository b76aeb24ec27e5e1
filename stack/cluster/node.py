"""
The one node of the kind cluster: a Docker container, made once, stopped by ``down`` and started again by ``up``.

A cluster is ours when its node maps the ports of ``kind-config.yaml`` on this machine; any other of the same name is
left alone. A mark in the node says that it was made to its end: one without was interrupted, holds nothing, and is
made anew.

How to reach it stands in a kubeconfig of its own in ``.baton/``: what the person's kubectl knows, and which context is
the current one there, is never changed.
"""

import io
import os
import shlex
import tarfile
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from docker.errors import DockerException, NotFound
from docker.models.containers import Container
from kubernetes import client as kubernetes
from kubernetes import config as kubeconfig

from apps.common.errors import BatonError, SettingsError, Unavailable
from apps.common.waiting import wait_until
from stack.cluster import docker, kind_config, programs
from stack.cluster.kind_config import NAME
from stack.environment import ROOT, inherited

STATE = ROOT / ".baton"
MARK = "/kind/made-by-baton"
CREATE_S = 300
ANSWER_S = 120
STOP_S = 10  # then it is killed, which everything in it survives


Note = Callable[[str], None]


@dataclass(frozen=True)
class NodeNetwork:
    """The node's own address (IPv4), and that from which connections of this machine come to its ports."""

    address: str
    gateway: str


class Node:
    """The node of the cluster ``name``."""

    def __init__(self, name: str = NAME) -> None:
        """Nothing is asked or made yet."""
        self.name = name
        self.container_name = f"{name}-control-plane"
        self.context = f"kind-{name}"
        self.kubeconfig_file = STATE / f"kubeconfig-{name}.yaml"

    @property
    def container(self) -> Container | None:
        """The node's container, running or not."""
        try:
            found: Container = docker.client().containers.get(self.container_name)
        except NotFound:
            return None
        except DockerException as error:
            raise Unavailable(f"Docker must answer; got {error}; start it, then try again") from error
        return found

    def running(self) -> bool:
        """Whether the node runs; a machine without Docker has none."""
        try:
            container = self.container
        except Unavailable:
            return False
        return container is not None and container.status == "running"

    def started(self) -> datetime:
        """When the node was last started, to the second."""
        return datetime.fromisoformat(self._required().attrs["State"]["StartedAt"][:19] + "+00:00")

    def network(self) -> NodeNetwork:
        """Its addresses on Docker's network, which may be others after a restart; raises Unavailable without any."""
        for one in self._required().attrs["NetworkSettings"]["Networks"].values():
            if one["IPAddress"]:
                return NodeNetwork(one["IPAddress"], one["Gateway"])
        raise Unavailable(f"the node {self.container_name} must have an address; got none; ./baton up --mode cluster")

    def up(self, note: Note) -> None:
        """Make the cluster, or start it again; raises SettingsError when another has its name."""
        container = self.container
        if container is not None:
            self._require_ours(container)
            if container.status != "running":
                note("starting the node")
                container.start()
            if self._made():
                self._await_answer()
                self._sign()
                return
            note("removing one that was never finished")
            self.delete()
        note("making the cluster")
        self._create()

    def _create(self) -> None:
        self.kubeconfig_file.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as folder:
            config = Path(folder) / "kind-config.yaml"
            config.write_text(kind_config.text(self.name))
            options = ["--config", str(config), *self._named(), "--wait", f"{CREATE_S}s"]
            try:
                programs.run("kind", "create", "cluster", *options, timeout=2 * CREATE_S)
            except BatonError:
                self._discard()
                raise
        self.finish()

    def finish(self) -> None:
        """Note that the cluster was made to its end."""
        self._export_access()
        self._await_answer()
        self._sign()

    def _sign(self) -> None:
        """Write down in the node that it was made to its end, and whose it is."""
        self.execute("sh", "-c", f"echo {shlex.quote(str(ROOT))} > {MARK}")

    def _discard(self) -> None:
        """Remove what a failed creation left: it would hold the ports."""
        with suppress(BatonError):
            programs.run("kind", "delete", "cluster", *self._named())

    def _named(self) -> list[str]:
        """By its name, whatever KIND_CLUSTER_NAME says, and with a kubeconfig of its own."""
        return ["--name", self.name, "--kubeconfig", str(self.kubeconfig_file)]

    def _export_access(self) -> None:
        self.kubeconfig_file.parent.mkdir(parents=True, exist_ok=True)
        programs.run("kind", "export", "kubeconfig", *self._named())

    def access(self) -> list[str]:
        """
        The option by which kubectl and helm reach this cluster, and no other.

        The file is written anew when the cluster is: by another checkout, say.
        """
        made = datetime.fromisoformat(self._required().attrs["Created"][:19] + "+00:00").timestamp()
        if not self.kubeconfig_file.exists() or self.kubeconfig_file.stat().st_mtime < made:
            self._export_access()
        return ["--kubeconfig", str(self.kubeconfig_file)]

    def shell(self) -> dict[str, str]:
        """The variables of a shell in which helm, kubectl and tilt are found, and reach this cluster when it runs."""
        path = os.pathsep.join([*programs.path_entries(), inherited().get("PATH", os.defpath)])
        return {"PATH": path, **({"KUBECONFIG": self.access()[1]} if self.running() else {})}

    def _required(self) -> Container:
        container = self.container
        if container is None:
            raise Unavailable(f"the node {self.container_name} must be there; got none; ./baton up --mode cluster")
        return container

    def _made(self) -> bool:
        container = self.container
        return container is not None and container.exec_run(["test", "-f", MARK]).exit_code == 0

    def _require_ours(self, container: Container) -> None:
        owner = _owner(container)
        if owner not in ("", str(ROOT)) and Path(owner).exists():  # one that is gone may have been moved here
            raise SettingsError(
                f"the cluster {self.name} must be of this checkout; got that of {owner}; see to it there, or, if "
                f"nobody needs it: kind delete cluster --name {self.name}"
            )
        bound: dict[str, list[dict[str, str]] | None] = container.attrs["HostConfig"]["PortBindings"] or {}
        found = {(one["HostIp"], int(one["HostPort"])) for ports in bound.values() for one in ports or []}
        if missing := kind_config.ports() - found:
            listed = ", ".join(f"{host}:{port}" for host, port in sorted(missing))
            raise SettingsError(
                f"the cluster {self.name} must be the one of kind-config.yaml; got one that does not map {listed}; "
                f"if nobody needs it: kind delete cluster --name {self.name}"
            )

    def _await_answer(self) -> None:
        def answers() -> bool:
            try:
                nodes = self.core().list_node(_request_timeout=5).items
            except Exception:  # noqa: BLE001 - whatever it is, the API does not answer yet
                return False
            return any(one.type == "Ready" and one.status == "True" for node in nodes for one in node.status.conditions)

        wait_until(
            answers, ANSWER_S, f"the node {self.container_name} must get Ready; see docker logs of it", every=0.5
        )

    def stop(self) -> None:
        """End everything that runs in it; what is on its disk stays."""
        container = self.container
        if container is not None and container.status == "running":
            self._require_ours(container)
            container.stop(timeout=STOP_S)

    def delete(self) -> None:
        """Remove the cluster and everything in it."""
        container = self.container
        if container is not None:
            self._require_ours(container)
            programs.run("kind", "delete", "cluster", *self._named())
            self.kubeconfig_file.unlink(missing_ok=True)

    def execute(self, *command: str) -> str:
        """Run a command in the node; return what it printed."""
        done: Any = self._required().exec_run(list(command))
        if done.exit_code:
            raise Unavailable(f"{' '.join(command)} must end with 0 in the node; got {done.output.decode()[-500:]}")
        return str(done.output.decode())

    def api(self) -> Any:
        """A client of the cluster's API."""
        quiet = kubernetes.Configuration()
        quiet.retries = 0  # whoever asks asks again; the client's own tries print warnings
        _, file = self.access()
        try:
            return kubeconfig.new_client_from_config(file, client_configuration=quiet)
        except kubeconfig.ConfigException as error:
            raise BatonError(f"{file} must be a kubeconfig; got {error}; remove it") from error

    def core(self) -> kubernetes.CoreV1Api:
        """Pods, events and the like."""
        return kubernetes.CoreV1Api(self.api())


def _owner(container: Container) -> str:
    """The checkout that made a cluster, which need not run; empty where it was never finished, or does not say."""
    try:
        stream, _ = container.get_archive(MARK)
    except NotFound:
        return ""
    with tarfile.open(fileobj=io.BytesIO(b"".join(stream))) as archive:
        file = archive.extractfile(archive.getmembers()[0])
        return file.read().decode().strip() if file else ""
