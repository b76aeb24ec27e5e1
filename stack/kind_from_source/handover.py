"""
What is handed over to the ordinary cluster, in the cache: a folder of programs, and what to lay over kind-config.yaml.

Nobody has to know this folder of code: the cluster looks for the two things and uses what is there.
"""

from typing import Any

import yaml

from apps.common.errors import Unavailable
from apps.common.files import write_whole
from stack.cluster import capabilities, kind_config
from stack.cluster import programs as cluster_programs
from stack.kind_from_source import node_image, programs
from stack.kind_from_source.versions import Versions


def hand_over(versions: Versions) -> None:
    """Point to the tools of these versions, and write the overlay for the node image that is there, if any."""
    link = cluster_programs.made_folder()
    fresh = link.with_name(f".{link.name}.new")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(programs.tools_folder(versions))
    if link.is_dir() and not link.is_symlink():
        raise Unavailable(f"{link} must be a link; got a folder; remove it, then run ./baton cluster from-source")
    fresh.replace(link)
    image = node_image.name(versions) if node_image.present(versions) else None
    text = yaml.safe_dump(overlay(image, capabilities.missing()), sort_keys=False)
    write_whole(kind_config.overlay_file(), text)


def overlay(image: str | None, withheld: tuple[str, ...]) -> dict[str, Any]:
    """
    What kind-config.yaml needs on this machine: an image for its node, and feature gates.

    Where capabilities are withheld the kubelet must treat this machine as a user namespace does: not fail on what it
    may not set.
    """
    return {
        **({"image": image} if image else {}),
        **({"featureGates": {"KubeletInUserNamespace": True}} if withheld else {}),
    }
