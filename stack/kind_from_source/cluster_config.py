"""Fits kind-config.yaml to this machine when the cluster is made; the file itself stays that of an ordinary machine."""

from typing import Any

import yaml


def fit(config: str, image: str | None, withheld: tuple[str, ...]) -> str:
    """
    The text of ``config`` with ``image`` (None: kind's own) on each node.

    Where capabilities are withheld the kubelet must treat this machine as a user namespace does: not fail on what it
    may not set.
    """
    read: dict[str, Any] = yaml.safe_load(config)
    if image:
        for node in read["nodes"]:
            node["image"] = image
    if withheld:
        read["featureGates"] = {**read.get("featureGates", {}), "KubeletInUserNamespace": True}
    return yaml.safe_dump(read, sort_keys=False)
