"""
The kind cluster of a test run, managed by pytest-kubernetes; one that was there before is used and never deleted.

Its manager takes the name from the configuration only (without one it makes a cluster and deletes another), and would
ask for a node image that an offline machine does not have: both are in the configuration that it is given.
"""

import os
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from pytest_kubernetes.options import ClusterOptions
from pytest_kubernetes.providers import select_provider_manager

from stack.cluster import images, kind_config
from stack.cluster.node import CREATE_S, Node


@contextmanager
def cluster(name):
    """The cluster ``name`` while the block runs."""
    images.build(lambda _: None)
    node = Node(name)
    if node.container is not None:
        yield
        return
    os.environ |= node.shell()  # noqa: TID251 - where the manager looks for kind
    with TemporaryDirectory() as folder:
        config = Path(folder) / "kind-config.yaml"
        config.write_text(kind_config.text(name))
        manager = select_provider_manager("kind")(name, str(config))
        try:
            manager.create(ClusterOptions(cluster_name=name, provider_config=config, cluster_timeout=CREATE_S))
            node.finish()
            yield
        finally:
            node.delete()
            assert not node.running()
