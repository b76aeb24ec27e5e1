"""The runtime port in cluster mode: a kind cluster, images built and loaded, charts installed and waited for."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from kubernetes import client as kubernetes

from apps.common.errors import BatonError, SettingsError, Unavailable
from apps.common.hdfs import Hdfs
from apps.common.waiting import pause
from apps.orchestrator.cluster import ClusterOrchestrator
from stack import services
from stack.cluster import charts, connectivity, diagnostics, doctor, images, loading
from stack.cluster.kind_config import NAME
from stack.cluster.node import Node
from stack.cluster.pods import INBOX, PodHdfs, Pods, patience_s
from stack.cluster.readiness import HOPELESS_RESTARTS, STUCK, Readiness
from stack.environment import HOST, app_environment, inherited
from stack.java import jars
from stack.local_apps import LocalApps, finish
from stack.preflight import Check
from stack.runtime import Report, RunningStack, ServiceStatus
from stack.services import Service, ServiceKind

READY_S = 300
LOOK_EVERY_S = 1
SOURCE = "BATON_SOURCE"  # a file of this machine; the pods have a copy


class ClusterRuntime:
    """One stack, on the kind cluster ``name``."""

    def __init__(
        self,
        state: Path,
        settings: Mapping[str, str] | None = None,
        name: str = NAME,
        values: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        """``state`` holds what this machine logs; ``settings`` are the apps', ``values`` go over a chart's own."""
        self.state = state.resolve()
        self.settings = dict(settings or {})
        self.values = dict(values or {})
        self.node = Node(name)
        self.pods = Pods(self.node)
        self._stack = services.load()

    def up(self, services: Sequence[Service], report: Report) -> None:
        """
        Make or start the cluster, build and load the images, install the charts, and return when all is ready.

        Raises BatonError that names what is not ready, what keeps it and what it said last.
        """
        began = time.monotonic()
        wanted = self._stack.start_order([one.name for one in services])

        last = ""

        def note(text: str) -> None:
            nonlocal last
            if text != last:
                last = text
                report(ServiceStatus("cluster", text), time.monotonic() - began)

        checks = [*self.check(), *self._room_for_source()]
        if bad := [str(check) for check in checks if not check.ok]:
            raise SettingsError("\n".join(bad))
        note("images")
        images.build(lambda text: note(f"building {text.partition(':')[0]}"))
        self.node.up(note)
        charts.make_namespace(self.node)
        built, done = {image.name: image for image in images.images()}, set[str]()
        references = {name: image.reference for name, image in built.items()}
        for wave in self._stack.waves([one.name for one in wanted]):  # the first ones start while images are loaded
            new = sorted({one.chart for one in wave} - done)
            note(f"loading images for {', '.join(new)}" if new else "installing")
            loading.load(self.node, [built[charts.image_of(chart)] for chart in new])
            if charts.PIPELINE in new:
                self._replace_tilts_watchers(note)
            charts.install(self.node, {chart: self._values(chart, references) for chart in new})
            done |= set(new)
        self._await_ready(wanted, report, began)
        if source := self.settings.get(SOURCE):
            self.pods.bring(Path(source))

    def _replace_tilts_watchers(self, note: Callable[[str], None]) -> None:
        watchers = [service.name for service in self._stack.services if service.kind is ServiceKind.WATCHER]
        if removed := charts.remove_deployments(self.node, watchers):
            note(f"removed {' and '.join(removed)} that Tilt ran")

    def down(self) -> None:
        """Stop the node and everything in it; what is on its disk stays."""
        self.node.stop()

    def has_data(self) -> bool:
        """Whether there is a cluster, running or not."""
        return self.node.container is not None

    def wipe(self) -> None:
        """Remove the cluster and all data in it."""
        self.node.delete()

    def address(self, service: str) -> str:
        """Where a client on this machine finds a service: the node's ports are those of the embedded mode."""
        return self._stack.service(service).address_at(HOST)

    def collect_logs(self, folder: Path) -> None:
        """Logs, events and descriptions, as far as the cluster answers."""
        if self.running():
            try:
                diagnostics.collect(self.node, self.node.core(), folder)
            except (BatonError, kubernetes.ApiException, OSError) as error:
                folder.mkdir(parents=True, exist_ok=True)
                (folder / "incomplete.txt").write_text(f"{error}\n")

    def running(self) -> bool:
        """Whether the node runs."""
        return self.node.running()

    def status(self) -> list[ServiceStatus]:
        """Each service as Kubernetes sees it."""
        if not self.running():
            return [ServiceStatus(service.name, "stopped") for service in self._services()]
        return _look(self._readiness(), self._services())

    def environment(self) -> dict[str, str]:
        """The environment of an app on this machine, which reaches the cluster by the node's ports."""
        own = {"BATON_MODE": "cluster", "BATON_NAMESPACE": charts.NAMESPACE, **self.node.shell()}
        return inherited() | app_environment(self._stack, self.state, jars("spark-kafka"), self.settings) | own

    def attach(self) -> RunningStack:
        """The cluster as its owner reaches it; apps that need HDFS run in the dropper's pod, the others here."""
        if not self.running():
            raise BatonError("the stack must be up; it is down; run ./baton up --mode cluster")
        environment, inside = self.environment(), self._stack.service("namenode").address_at("namenode")
        apps = ClusterApps(self.pods, environment, self.state / "logs", inside)
        return RunningStack(environment, ClusterOrchestrator(self.node.api(), charts.NAMESPACE), apps)

    def check(self) -> list[Check]:
        """What this machine must have."""
        return doctor.check(self.node, self._stack)

    def logs(self, service: str, lines: int, *, follow: bool) -> Iterator[tuple[str, str]]:
        """What the pods of a service, or of all, printed last."""
        return diagnostics.log_lines(self.node, service, lines, follow=follow)

    def _room_for_source(self) -> Iterator[Check]:
        if source := self.settings.get(SOURCE):
            size = charts.value("pipeline", "dropper.persistence.size", self.values)
            yield doctor.room(Path(source), str(size))

    def _services(self) -> list[Service]:
        """What this cluster has: all that stack.yaml has a chart for, but for what is optional and off."""

        def on(service: Service) -> bool:
            said = charts.value(charts.PIPELINE, charts.VALUES[service.switch], self.values)
            return service.is_on(self.settings, str(said))

        here = [one for one in self._stack.services if one.chart]
        return [one for one in here if one.kind is not ServiceKind.OPTIONAL or on(one)]

    def _values(self, chart: str, references: Mapping[str, str]) -> dict[str, Any]:
        told = {name: value for name, value in self.settings.items() if name != SOURCE}
        return charts.values(chart, references, told, self.node.network()) | dict(self.values.get(chart, {}))

    def _readiness(self) -> Readiness:
        return Readiness(self.node.api(), self.node.started())

    def _await_ready(self, wanted: Sequence[Service], report: Report, began: float) -> None:
        readiness = self._readiness()
        readiness.forget_stuck()
        deadline = time.monotonic() + READY_S
        restarts: dict[str, int] = {}  # when first seen: a node's restarts are counted in it too
        while True:
            found = _look(readiness, wanted)
            for one in found:
                report(one, time.monotonic() - began)
                restarts[one.service] = min(restarts.get(one.service, one.restarts), one.restarts)
            late = [one for one in found if not one.is_up]
            unreached: list[str] = []
            if not late and readiness.topics_made() and not (unreached := connectivity.unreached(self._stack, wanted)):
                return
            crashing = [one for one in late if one.restarts - restarts[one.service] >= HOPELESS_RESTARTS]
            if crashing or any(status.state == STUCK for status in late) or time.monotonic() > deadline:
                raise self._not_ready(late, readiness, unreached)
            pause(LOOK_EVERY_S)

    def _not_ready(self, late: Sequence[ServiceStatus], readiness: Readiness, unreached: Sequence[str]) -> BatonError:
        names = ", ".join([*(one.service for one in late), *unreached]) or "the topics"
        lines = [f"every service must be ready; got {names} not ready"]
        for one in late:
            lines += [f"{one.service}: {one.state}: {one.error}", *readiness.evidence(one)]
        return BatonError("\n".join(lines))


def _look(readiness: Readiness, wanted: Sequence[Service]) -> list[ServiceStatus]:
    try:
        return readiness.look(wanted)
    except kubernetes.ApiException as error:
        raise Unavailable(f"Kubernetes must answer; got {error.status} {error.reason}; try again") from error
    except OSError as error:
        raise Unavailable(f"Kubernetes must answer; got {error}; try again") from error


class ClusterApps(LocalApps):
    """What needs a DataNode runs in the dropper's pod; a watcher's tick is a Job; everything else runs here."""

    def __init__(self, pods: Pods, environment: Mapping[str, str], logs: Path, hdfs_inside: str) -> None:
        """``hdfs_inside`` is the NameNode's address for the pods."""
        super().__init__(environment, logs)
        self._pods = pods
        self._hdfs_inside = hdfs_inside

    def run(self, app: str, settings: Mapping[str, str]) -> str:
        """Run an app to its end."""
        if app != "batch_dropper":
            return super().run(app, settings)
        told = dict(settings)
        if source := self.environment.get(SOURCE):
            told[SOURCE] = f"{INBOX}/{Path(source).name}"
        split = Path(source).stat().st_size if source and Path(source).exists() else 0  # when it is first asked for
        command = ["python3", "-m", f"apps.{app}"]
        return finish("batch-dropper", *self._pods.execute(*command, settings=told, timeout=patience_s(split)))

    def tick(self, watcher: str) -> None:
        """One tick of a watcher, with its own rights."""
        self._pods.tick(watcher)

    def bring(self, file: Path) -> str:
        """Copy a file into the dropper's pod."""
        return self._pods.bring(file)

    def files(self) -> Hdfs:
        """HDFS, contents through the dropper's pod."""
        return PodHdfs(self.environment["BATON_HDFS"], self._pods, self._hdfs_inside)
