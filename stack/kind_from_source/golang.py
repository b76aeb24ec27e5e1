"""
Compiles Go programs at pinned versions from one wrapper module, made at run time and thrown away.

One module for all of them, so that the libraries they share (client-go, gRPC, Prometheus) have one version and are
compiled once; and Kubernetes cannot be built by ``go install`` at all, as its go.mod replaces its own libraries by
folders that its module does not contain.
"""

import re
from collections.abc import Sequence
from pathlib import Path

from apps.common.errors import Unavailable
from stack import cache
from stack.kind_from_source import command
from stack.kind_from_source.steps import Note
from stack.kind_from_source.versions import Versions

OLDEST = (1, 25)
STAGING = re.compile(r"^\s*(\S+) => \./staging/", re.MULTILINE)
KUBERNETES = "k8s.io/kubernetes"
KIND = "sigs.k8s.io/kind"
PACKAGES = {
    "kind": "sigs.k8s.io/kind",
    "helm": "helm.sh/helm/v3/cmd/helm",
    **{
        name: f"k8s.io/kubernetes/cmd/{name}"
        for name in (
            "kubectl",
            "kubelet",
            "kubeadm",
            "kube-apiserver",
            "kube-controller-manager",
            "kube-scheduler",
            "kube-proxy",
        )
    },
    "etcd": "./etcd",
    "coredns": "./coredns",
    "local-path-provisioner": "github.com/rancher/local-path-provisioner",
    "kube-router": "github.com/cloudnativelabs/kube-router/v2/cmd/kube-router",
}
VARIABLES = {"GOFLAGS": "-mod=mod", "CGO_ENABLED": "0", "GOWORK": "off"}

ETCD_MAIN = """package main

import (
	"os"

	"go.etcd.io/etcd/server/v3/etcdmain"
)

func main() { etcdmain.Main(os.Args) }
"""
# CoreDNS with the plugins that a cluster's Corefile can name; its cloud plugins are two thirds of its build.
COREDNS_PLUGINS = """
bind bufsize cache debug errors forward health hosts kubernetes log loadbalance loop metrics ready reload
rewrite template
"""
COREDNS_MAIN = """package main

import (
	"github.com/coredns/coredns/coremain"
{imports}
)

func main() {{ coremain.Run() }}
"""


def modules(versions: Versions) -> dict[str, str]:
    """The Go module of each part and its version."""
    return {
        KUBERNETES: versions.kubernetes,
        KIND: versions.kind,
        "helm.sh/helm/v3": versions.helm,
        "go.etcd.io/etcd/server/v3": versions.etcd,
        "github.com/coredns/coredns": versions.coredns,
        "github.com/rancher/local-path-provisioner": versions.local_path_provisioner,
        "github.com/cloudnativelabs/kube-router/v2": versions.kube_router,
    }


def source(module: str, versions: Versions) -> Path:
    """The folder of ``module``'s source, downloaded when it is not there."""
    version = modules(versions)[module]
    command.run("go-download", ["go", "mod", "download", f"{module}@v{version}"], folder=Path("/"), variables=VARIABLES)
    found = command.answer(["go", "env", "GOMODCACHE"])
    return Path(found or "~/go/pkg/mod").expanduser() / f"{module}@v{version}"


def go_version() -> tuple[int, int]:
    """The version of the Go on this machine; raise Unavailable when there is none that is new enough."""
    found = command.answer(["go", "env", "GOVERSION"]) or "none"
    numbers = re.match(r"go(\d+)\.(\d+)", found)
    version = (int(numbers.group(1)), int(numbers.group(2))) if numbers else (0, 0)
    if version < OLDEST:
        message = f"go must be version {OLDEST[0]}.{OLDEST[1]} or newer on the PATH; got {found}; install Go"
        raise Unavailable(message)
    return version


def write_module(folder: Path, versions: Versions) -> None:
    """
    Fill ``folder`` with the wrapper module.

    Every program's packages are resolved before any is built: which version a library has would else depend on what
    is built first, and the same library would be compiled twice.
    """
    staging = STAGING.findall((source(KUBERNETES, versions) / "go.mod").read_text())
    required = "".join(f"\t{module} v{version}\n" for module, version in modules(versions).items())
    replaced = "".join(f"\t{module} => {module} v{versions.staging}\n" for module in staging)
    major, minor = go_version()
    (folder / "go.mod").write_text(
        f"module baton/cluster\n\ngo {major}.{minor}\n\nrequire (\n{required})\n\nreplace (\n{replaced})\n"
    )
    imports = "\n".join(f'\t_ "github.com/coredns/coredns/plugin/{name}"' for name in COREDNS_PLUGINS.split())
    mains = {"etcd": ETCD_MAIN, "coredns": COREDNS_MAIN.format(imports=imports)}
    for name, text in mains.items():
        (folder / name).mkdir()
        (folder / name / "main.go").write_text(text)
    command.run("go-resolve", ["go", "list", "-e", "-deps", *PACKAGES.values()], folder=folder, variables=VARIABLES)


def build(programs: Sequence[str], target: Path, versions: Versions, note: Note) -> None:
    """Compile ``programs`` (keys of PACKAGES) into the folder ``target``."""
    compiled = 0

    def count(_: str) -> None:
        nonlocal compiled
        compiled += 1
        note(f"{compiled} packages")

    with cache.scratch() as folder:
        note("resolving modules")
        write_module(folder, versions)
        flags = ["-v", "-trimpath", "-buildvcs=false", "-gcflags=all=-dwarf=false", f"-ldflags={_stamp(versions)}"]
        packages = [PACKAGES[name] for name in programs]
        build_them = ["go", "build", *flags, "-o", f"{target}/", *packages]
        command.run(f"go-build-{programs[0]}", build_them, folder=folder, variables=VARIABLES, line=count)


def _stamp(versions: Versions) -> str:
    """Linker flags: no debug data, and the version that Kubernetes' programs tell."""
    major, minor, _ = versions.kubernetes.split(".")
    facts = {"gitVersion": f"v{versions.kubernetes}", "gitMajor": major, "gitMinor": minor, "gitTreeState": "archive"}
    places = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
    stamps = [f"-X {place}.{fact}={value}" for place in places for fact, value in facts.items()]
    return " ".join(["-s", "-w", *stamps])
