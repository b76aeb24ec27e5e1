"""
Makes the image of a kind node: Debian's systemd and containerd, kind's static files from its Go module, the compiled
Kubernetes, and, in containerd's store, the images of the cluster's own pods.

Which images those are and what they are called, kubeadm is asked; no name of a registry stands here.
"""

import re
import shutil
from pathlib import Path

from apps.common.errors import Unavailable
from stack import cache
from stack.cluster import capabilities
from stack.kind_from_source import archive, base_image, command, docker, golang, programs
from stack.kind_from_source.steps import Note
from stack.kind_from_source.versions import Versions

NODE = Path(__file__).with_name("node")
WRAPPER_IN_NODE = "/usr/local/sbin/runc-fit"
ROUTER = "kube-router"
STORE_STAGE = "baton.stage=store"
LEGACY = {"DOCKER_BUILDKIT": "0"}  # Debian's Docker has no BuildKit
SANDBOX = re.compile(r'sandbox_image = "[^"]+"')


def name(versions: Versions) -> str:
    """The image's name: its tag changes with the versions, this folder's files and what this machine withholds."""
    files = [
        path.read_bytes() for path in [*sorted(NODE.iterdir()), docker.WRAPPER, Path(__file__), Path(archive.__file__)]
    ]
    made_of = cache.fingerprint(repr(versions), " ".join(capabilities.missing()), *files)
    return f"baton/node:{versions.kubernetes}-{made_of}"


def present(versions: Versions) -> bool:
    """Whether the image is there."""
    return command.answer(["docker", "image", "inspect", "--format", "{{.Id}}", name(versions)]) is not None


def make(versions: Versions, note: Note) -> None:
    """Build the image."""
    compiled = programs.node_folder(versions)
    with cache.scratch() as folder:
        note(f"the images of {' and '.join(programs.FILTERING)}")
        filtering = {name: _build_filtering(name, folder / name, compiled, versions) for name in programs.FILTERING}
        note("the images of the other pods")
        names = _pod_images(folder / "images", compiled, filtering, versions)
        note("the node")
        _lay_out_files(folder / "files", names, versions)
        (folder / "programs").mkdir()
        for program in programs.NODE:
            _link(compiled / program, folder / "programs" / program)
        shutil.copy(NODE / "import-images", folder)
        try:
            _build(folder, "node.Dockerfile", name(versions), versions, note)
        finally:  # the stage that held the archives is 1.4 GB that nothing uses any more
            command.answer(["docker", "image", "prune", "--force", "--filter", f"label={STORE_STAGE}"])


def _build(context: Path, dockerfile: str, tag: str, versions: Versions, note: Note, *arguments: str) -> None:
    shutil.copy(NODE / dockerfile, context / "Dockerfile")
    told = [f"--build-arg={one}" for one in (f"base={base_image.name(versions)}", *arguments)]
    build = ["docker", "build", "--network=host", "--force-rm", *told, "--tag", tag, "."]
    log = f"docker-build-{dockerfile.partition('.')[0]}"
    command.run(log, build, folder=context, variables=LEGACY, line=lambda text: note(text[:60]))


def _link(source: Path, target: Path) -> None:
    """One disk holds both; a hard link is free."""
    target.hardlink_to(source)


def _build_filtering(program: str, context: Path, compiled: Path, versions: Versions) -> str:
    """Build the image of a pod that calls the tools of the packet filter: one layer, which these images share."""
    tag = f"baton/{program}:{versions.kube_router if program == ROUTER else versions.kubernetes}"
    context.mkdir()
    _link(compiled / program, context / program)
    _build(context, "filtering.Dockerfile", tag, versions, lambda _: None, f"program={program}")
    return tag


def _pod_images(target: Path, compiled: Path, filtering: dict[str, str], versions: Versions) -> dict[str, str]:
    """Write the archives of all images that the node holds to ``target``; return the name each program's image has."""
    target.mkdir()
    wanted = command.answer(
        [compiled / "kubeadm", "config", "images", "list", "--kubernetes-version", f"v{versions.kubernetes}"]
    )
    names = {image.rsplit("/", 1)[1].split(":")[0]: image for image in (wanted or "").split()}
    unknown = set(names) - {*programs.PODS, *programs.FILTERING, programs.PAUSE}
    if unknown or not names:
        message = f"kubeadm must ask for images that are made here; got {sorted(unknown)}; see programs.PODS"
        raise Unavailable(message)
    names["local-path-provisioner"] = f"baton/local-path-provisioner:{versions.local_path_provisioner}"
    names = filtering | names
    for program in (*programs.PODS, programs.PAUSE):
        archive.write(target / f"{program}.tar", compiled / program, names[program])
    asked = {built: names[program] for program, built in filtering.items() if names[program] != built}
    for built, wanted_name in asked.items():
        command.run("tag", ["docker", "tag", built, wanted_name])
    kept = [*(names[program] for program in filtering), base_image.name(versions)]
    command.run("save", ["docker", "save", "--output", target / "debian.tar", *kept])
    command.run("untag", ["docker", "rmi", *asked.values()])
    return names


def _lay_out_files(target: Path, names: dict[str, str], versions: Versions) -> None:
    """Fill ``target`` with what lies over Debian's files; a Go module keeps no modes, so each is set."""
    shutil.copytree(golang.source(golang.KIND, versions) / "images/base/files", target, copy_function=shutil.copyfile)
    for file in target.rglob("*"):
        file.chmod(0o755 if file.is_dir() or file.parent.name == "bin" else 0o644)
    texts = {
        "kind/version": f"v{versions.kubernetes}",
        "kind/manifests/default-cni.yaml": (NODE / "default-cni.yaml")
        .read_text()
        .replace("ROUTER_IMAGE", names[ROUTER]),
        "kind/manifests/default-storage.yaml": (NODE / "default-storage.yaml")
        .read_text()
        .replace("STORAGE_IMAGE", names["local-path-provisioner"])
        .replace("HELPER_IMAGE", base_image.name(versions)),
        "etc/cni/net.d/10-ptp.conflist": (NODE / "10-ptp.conflist").read_text(),
        "etc/containerd/config.toml": _containerd((target / "etc/containerd/config.toml").read_text(), names["pause"]),
    }
    for path, text in texts.items():
        _place(target / path, text, 0o644)
    _place(target / "usr/local/bin/crictl", (NODE / "crictl").read_text(), 0o755)
    _place(target / WRAPPER_IN_NODE.lstrip("/"), docker.WRAPPER.read_text(), 0o755)


def _place(path: Path, text: str, mode: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)


def _containerd(config: str, pause: str) -> str:
    """What kind tells containerd, with our pause image and, where this machine needs it, the runtime wrapper."""
    config = SANDBOX.sub(f'sandbox_image = "{pause}"', config)
    if capabilities.missing():
        config = config.replace("restrict_oom_score_adj = false", "restrict_oom_score_adj = true").replace(
            "SystemdCgroup = true", f'SystemdCgroup = true\n    BinaryName = "{WRAPPER_IN_NODE}"'
        )
    return config
