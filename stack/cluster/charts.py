"""Installs the charts: each with the tag of its image, the pipeline with what ``up`` was told."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml
from kubernetes import client as kubernetes

from apps.common.files import write_whole
from stack.cluster import programs
from stack.cluster.images import APPS
from stack.cluster.node import STATE, Node, NodeNetwork
from stack.environment import ROOT

CHARTS = ROOT / "charts"
NAMESPACE_FILE = Path(__file__).with_name("namespace.yaml")
NAMESPACE: str = yaml.safe_load(NAMESPACE_FILE.read_text())["metadata"]["name"]
PIPELINE = "pipeline"
POSTGRES = "postgres"  # the chart, and its Secret
# Settings that are values of the pipeline's chart.
VALUES = {
    "BATON_STACK": "stack",
    "BATON_DATASET": "dataset",
    "BATON_STANDBY": "standby",
    "BATON_LIVE_METRICS": "liveMetrics",
    "BATON_GATEWAY": "gateway",
    "BATON_CACHE": "cache",
}
ON_THIS_MACHINE = ("kafka", "hdfs", "mlflow")  # have ports of this machine
HISTORY = "3"


def image_of(chart: str) -> str:
    """The name of the image that a chart's pods run."""
    return APPS if chart == PIPELINE else f"baton/{chart}"


def values(
    chart: str, references: Mapping[str, str], settings: Mapping[str, str], network: NodeNetwork
) -> dict[str, Any]:
    """
    What is set over a chart's own values, which let nobody in from outside the cluster, nor out.

    ``references`` are the images with their tags, ``settings`` the apps'. This machine comes in by the node's network,
    and Kubernetes' API is at the node's address.
    """
    repository, _, tag = references[image_of(chart)].rpartition(":")
    told: dict[str, Any] = {"image": {"repository": repository, "tag": tag}}
    if chart == PIPELINE:
        told |= {VALUES[name]: value for name, value in settings.items() if name in VALUES}
        told["settings"] = {name: value for name, value in settings.items() if name not in VALUES}
        told |= {"egress": {"kubernetes": [{"ipBlock": {"cidr": f"{network.address}/32"}}]}}
    if chart in ON_THIS_MACHINE:
        told |= {"hostPorts": {"enabled": True, "from": [f"{network.gateway}/32", f"{network.address}/32"]}}
    return told


def write_values(node: Node, references: Mapping[str, str]) -> Path:
    """
    Write what each chart is told on this node to ``<chart>.yaml`` in a folder, for Tilt; return the folder.

    Tilt only renders a chart, which would draw another password each time: it names the Secret of ``make_password``.
    """
    folder = STATE / "values"
    folder.mkdir(parents=True, exist_ok=True)
    network = node.network()
    for chart in sorted(path.name for path in CHARTS.iterdir()):
        told = values(chart, references, {}, network) | ({"existingSecret": POSTGRES} if chart == POSTGRES else {})
        write_whole(folder / f"{chart}.yaml", yaml.safe_dump(told))
    return folder


def value(chart: str, path: str, values_of: Mapping[str, Mapping[str, Any]]) -> Any:
    """What a chart's value ``a.b.c`` is where ``values_of`` goes over its own; None when neither has it."""

    def inside(place: Any) -> Any:
        for name in path.split("."):
            place = place.get(name) if isinstance(place, Mapping) else None
        return place

    own = yaml.safe_load((CHARTS / chart / "values.yaml").read_text())
    given = inside(values_of.get(chart))
    return inside(own) if given is None else given


def make_namespace(node: Node) -> None:
    """Make the namespace, with the rules for its pods."""
    programs.run("kubectl", *node.access(), "apply", "-f", NAMESPACE_FILE)


def make_password(node: Node) -> None:
    """Make Postgres' Secret unless it is there: the one that its chart makes when it is installed."""
    where = [*node.access(), "--namespace", NAMESPACE]
    if programs.run("kubectl", *where, "get", "secret", POSTGRES, "--ignore-not-found", "--output", "name"):
        return
    version = kubernetes.VersionApi(node.api()).get_code().git_version
    only = ["--namespace", NAMESPACE, "--show-only", "templates/postgres/secret.yaml", "--kube-version", version]
    with TemporaryDirectory() as folder:
        file = Path(folder) / "secret.yaml"
        file.write_text(programs.run("helm", "template", POSTGRES, CHARTS / POSTGRES, *only))
        programs.run("kubectl", *where, "create", "--filename", file)


def remove_deployments(node: Node, names: Sequence[str]) -> list[str]:
    """Remove watchers that Tilt runs as Deployments: beside our CronJobs each would run twice. Return which it ran."""
    where = [*node.access(), "--namespace", NAMESPACE]
    removed = programs.run("kubectl", *where, "delete", "deployment", *names, "--ignore-not-found", "--output", "name")
    return [line.rpartition("/")[2] for line in removed.split()]


def install(node: Node, values_of: Mapping[str, Mapping[str, Any]]) -> None:
    """
    Install or upgrade charts side by side; ``values_of`` maps each to the values set over its own.

    What Tilt put there under the same names becomes helm's.
    """
    access = node.access()
    with TemporaryDirectory() as folder, ThreadPoolExecutor() as pool:

        def upgrade(chart: str) -> None:
            file = Path(folder) / f"{chart}.yaml"
            file.write_text(yaml.safe_dump(dict(values_of[chart])))
            options = [*access, "--namespace", NAMESPACE, "--history-max", HISTORY, "--take-ownership"]
            programs.run("helm", "upgrade", "--install", chart, CHARTS / chart, *options, "--values", file)

        list(pool.map(upgrade, values_of))
