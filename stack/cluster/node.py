"""
The one node of the kind cluster: a Docker container, made once, stopped by ``down`` and started again by ``up``.

A cluster is ours when its node maps the ports of ``kind-config.yaml`` on this machine; any other of the same name is
left alone. A mark in the node says that it was made to its end: one without was interrupted, holds nothing, and is
made anew.
"""

import subprocess
import tempfile
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml
from docker.errors import DockerException, NotFound
from docker.models.containers import Container
from kubernetes import client as kubernetes
from kubernetes import config as kubeconfig

from apps.common.errors import BatonError, SettingsError, Unavailable
from apps.common.waiting import wait_until
from stack import kind_from_source
from stack.cluster import images, programs
from stack.environment import ROOT

CONFIG = ROOT / "kind-config.yaml"
NAME: str = yaml.safe_load(CONFIG.read_text())["name"]
MARK = "/kind/made-by-baton"
CREATE_S = 300
ANSWER_S = 120
STOP_S = 10  # then it is killed, which everything in it survives


def config_text(name: str) -> str:
    """kind-config.yaml for a cluster called ``name``, with the node image made on this machine when there is one."""
    text = CONFIG.read_text()
    if kind_from_source.has_node_image():
        text = kind_from_source.kind_config(text)
    return yaml.safe_dump({**yaml.safe_load(text), "name": name}, sort_keys=False)


def wanted_ports() -> set[tuple[str, int]]:
    """The ports of this machine that the cluster's node must have."""
    mapped = yaml.safe_load(CONFIG.read_text())["nodes"][0]["extraPortMappings"]
    return {(one["listenAddress"], one["hostPort"]) for one in mapped}


class Node:
    """The node of the cluster ``name``."""

    def __init__(self, name: str = NAME) -> None:
        """Nothing is asked or made yet."""
        self.name = name
        self.container_name = f"{name}-control-plane"
        self.context = f"kind-{name}"

    @property
    def container(self) -> Container | None:
        """The node's container, running or not."""
        try:
            found: Container = images.client().containers.get(self.container_name)
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
        container = self.container
        if container is None:
            raise Unavailable(f"the node {self.container_name} must be there; got none; ./baton up --mode cluster")
        return datetime.fromisoformat(container.attrs["State"]["StartedAt"][:19] + "+00:00")

    def up(self, note: images.Note) -> None:
        """Make the cluster, or start it again; raises SettingsError when another has its name."""
        container = self.container
        if container is not None:
            self._require_ours(container)
            if container.status != "running":
                note("starting the node")
                container.start()
            if self._made():
                self._await_answer()
                return
            note("removing one that was never finished")
            self.delete()
        note("making the cluster")
        self._create()

    def _create(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            config = Path(folder) / "kind-config.yaml"
            config.write_text(config_text(self.name))
            programs.run(
                "kind", "create", "cluster", "--config", config, "--wait", f"{CREATE_S}s", timeout=2 * CREATE_S
            )
        self.finish()

    def finish(self) -> None:
        """Note that the cluster was made to its end, and let kubectl know it."""
        programs.run("kind", "export", "kubeconfig", "--name", self.name)
        self._await_answer()
        self.execute("touch", MARK)

    def _made(self) -> bool:
        container = self.container
        return container is not None and container.exec_run(["test", "-f", MARK]).exit_code == 0

    def _require_ours(self, container: Container) -> None:
        bound: dict[str, list[dict[str, str]] | None] = container.attrs["HostConfig"]["PortBindings"] or {}
        found = {(one["HostIp"], int(one["HostPort"])) for ports in bound.values() for one in ports or []}
        if missing := wanted_ports() - found:
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
            programs.run("kind", "delete", "cluster", "--name", self.name)

    def load(self, references: list[str]) -> None:
        """
        Put images of this machine's Docker into the node; those it has are left out.

        As a stream, and all in one so that shared layers go once: ``kind load`` writes 2 GB to a file in between, and
        fails where Docker keeps its images in containerd.
        """
        there = self.execute("ctr", "--namespace", "k8s.io", "images", "list", "-q").split()
        missing = [one for one in references if not any(name.endswith(f"/{one}") for name in there)]
        if not missing:
            return
        into = ["docker", "exec", "--interactive", self.container_name, "ctr", "--namespace", "k8s.io"]
        with subprocess.Popen(["docker", "save", *missing], stdout=subprocess.PIPE) as saved:
            done = subprocess.run(
                [*into, "images", "import", "--digests", "-"], stdin=saved.stdout, capture_output=True, check=False
            )
        if saved.returncode or done.returncode:
            said = done.stderr.decode(errors="replace").strip()[-500:]
            raise Unavailable(f"the node must take the images {', '.join(missing)}; got {said}; is its disk full?")

    def execute(self, *command: str) -> str:
        """Run a command in the node; return what it printed."""
        container = self.container
        if container is None:
            raise Unavailable(f"the node {self.container_name} must run; got none; ./baton up --mode cluster")
        done: Any = container.exec_run(list(command))
        if done.exit_code:
            raise Unavailable(f"{' '.join(command)} must end with 0 in the node; got {done.output.decode()[-500:]}")
        return str(done.output.decode())

    def api(self) -> Any:
        """A client of the cluster's API, whatever context the shell's kubectl has."""
        quiet = kubernetes.Configuration()
        quiet.retries = 0  # whoever asks asks again; the client's own tries print warnings
        try:
            return kubeconfig.new_client_from_config(context=self.context, client_configuration=quiet)
        except kubeconfig.ConfigException as error:
            raise BatonError(
                f"kubectl must know the context {self.context}; got {error}; kind export kubeconfig --name {self.name}"
            ) from error

    def core(self) -> kubernetes.CoreV1Api:
        """Pods, events and the like."""
        return kubernetes.CoreV1Api(self.api())
