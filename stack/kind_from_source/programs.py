"""The programs that are compiled: the three a person runs (kind, helm, kubectl) and those of a cluster's node."""

from pathlib import Path

from stack import cache
from stack.kind_from_source import command, golang
from stack.kind_from_source.steps import Note
from stack.kind_from_source.versions import Versions

TOOLS = ("kind", "helm", "kubectl")
NODE = ("kubelet", "kubeadm", "kubectl")  # what lies in the node itself
PODS = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "etcd", "coredns", "local-path-provisioner")
FILTERING = ("kube-proxy", "kube-router")  # pods too, which call the tools of the node's packet filter
PAUSE = "pause"
# built apart: it spells a library's import path in another case than the rest do, which one build cannot hold
APART = "local-path-provisioner"


def tools_folder(versions: Versions) -> Path:
    """Where kind, helm and kubectl of these versions are."""
    name = f"bin-kind{versions.kind}-helm{versions.helm}-kubectl{versions.kubernetes}"
    return cache.root() / name


def node_folder(versions: Versions) -> Path:
    """Where the programs of a node of these versions are."""
    parts = f"etcd{versions.etcd}-coredns{versions.coredns}-local-path{versions.local_path_provisioner}"
    name = f"kubernetes{versions.kubernetes}-{parts}-kube-router{versions.kube_router}"
    return cache.root() / "from-source" / name


def make_tools(versions: Versions, note: Note) -> None:
    """Compile kind, helm and kubectl."""
    with cache.publish(tools_folder(versions)) as folder:
        golang.build(TOOLS, folder, versions, note)


def make_node_programs(versions: Versions, note: Note) -> None:
    """Compile what runs in a node, and the pause program from Kubernetes' C source."""
    with cache.publish(node_folder(versions)) as folder:
        together = [name for name in (*NODE, *PODS, *FILTERING) if name != APART]
        golang.build(together, folder, versions, note)
        golang.build([APART], folder, versions, note)
        pause = golang.source(golang.KUBERNETES, versions) / "build/pause/linux/pause.c"
        command.run("pause", ["gcc", "-Os", "-static", "-s", "-o", folder / PAUSE, pause])
