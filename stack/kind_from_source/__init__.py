"""
Makes a kind cluster possible where no image registry is reachable: Docker, kind, helm, kubectl, ``debian:*-slim`` and
a node image, all from package registries. Where a registry is reachable, nothing here is needed.

Only its own command imports this. What it made, the cluster finds in the cache: see ``handover``.
"""

import os

from stack import cache
from stack.kind_from_source import base_image, docker, handover, node_image, programs, steps, versions

USUAL_MODES = 0o022  # a umask: files of images are read by other users than the one that made them


def list_steps(pinned: versions.Versions) -> list[steps.BuildStep]:
    """What is made, in order."""
    return [
        steps.BuildStep("Docker", docker.ready, docker.ensure),
        steps.BuildStep(
            f"kind {pinned.kind}, helm {pinned.helm}, kubectl {pinned.kubernetes}",
            programs.tools_folder(pinned).exists,
            lambda note: programs.make_tools(pinned, note),
        ),
        steps.BuildStep(
            f"Kubernetes {pinned.kubernetes}, etcd {pinned.etcd}, CoreDNS {pinned.coredns}, "
            f"kube-router {pinned.kube_router}",
            programs.node_folder(pinned).exists,
            lambda note: programs.make_node_programs(pinned, note),
        ),
        steps.BuildStep(
            f"image {base_image.name(pinned)}",
            lambda: base_image.present(pinned),
            lambda note: base_image.make(pinned, note),
        ),
        steps.BuildStep(
            f"image {node_image.name(pinned)}",
            lambda: node_image.present(pinned),
            lambda note: node_image.make(pinned, note),
        ),
    ]


def run(report: steps.Report, *, if_needed: bool = False) -> None:
    """
    Make all that is not there; ``report`` shows a step, as ``stack.cli.console.step`` does.

    With ``if_needed`` the images are made only when no registry answers; Docker and the tools always.
    """
    os.umask(USUAL_MODES)
    pinned = versions.load()
    with cache.exclusive():
        docker_and_tools, rest = list_steps(pinned)[:2], list_steps(pinned)[2:]
        steps.run(docker_and_tools, report)
        if not (if_needed and docker.registry_answers(base_image.name(pinned))):
            steps.run(rest, report)
        handover.hand_over(pinned)
