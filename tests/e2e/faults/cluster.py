"""Crashes in a cluster: SIGKILL of every process of a container, sent by containerd in the node."""

import time
from contextlib import contextmanager

from kubernetes import client

from apps.common.waiting import wait_until
from apps.orchestrator.cluster import COMPONENT
from stack.cluster import containers
from stack.cluster.charts import NAMESPACE

BACK_S = 180  # a watcher's next Job may be a minute away
KEEPER, SERVER = "kube-controller-manager", "prediction-server"


class ClusterFaults:
    """What a test may do to the pods of a stack."""

    def __init__(self, stack):
        """``stack`` is a running session."""
        self.stack = stack
        self.node = stack.runtime.node
        self.core = self.node.core()

    def instance(self, service):
        """The container id of a running service, or None."""
        return containers.newest(self.core, NAMESPACE, f"{COMPONENT}={service}")

    def kill(self, service):
        """End a service as a crash would; return which instance that was."""
        return self.send(wait_until(lambda: self.instance(service), BACK_S, f"{service} does not run"), "SIGKILL")

    def next_server(self):
        """The container id of the server that starts beside the one that serves, or None."""
        newest = self.instance(SERVER)
        return None if newest == containers.oldest(self.core, NAMESPACE, f"{COMPONENT}={SERVER}") else newest

    def send(self, container, name):
        """Send every process of a container a signal, as ``SIGSTOP``. Return the container."""
        containers.send(self.node, container, name)
        return container

    @contextmanager
    def kept_down(self, service):
        """The pods of a Deployment are gone while the block runs; afterwards it is ready."""
        deployments = client.AppsV1Api(self.node.api())

        def scale(replicas):
            deployments.patch_namespaced_deployment_scale(service, NAMESPACE, {"spec": {"replicas": replicas}})

        try:
            scale(0)
            wait_until(lambda: self.instance(service) is None, BACK_S, f"{service} is not down")
            yield
        finally:
            scale(1)
            wait_until(lambda: self.state(service) == "ready", BACK_S, f"{service} is not back")

    def state(self, service):
        return {one.service: one.state for one in self.stack.runtime.status()}[service]

    def freeze_jvm(self, service):
        """Stop the JVM of a service as a hanging disk would; return which instance that was."""
        container = wait_until(lambda: self.instance(service), BACK_S, f"{service} does not run")
        listed = ("ctr", "--namespace", "k8s.io", "tasks", "exec", "--exec-id", f"freeze-{time.time_ns()}", container)
        self.node.execute(*listed, "pkill", "-STOP", "java")
        return container

    def kill_pod(self, name):
        """End the container of one pod as a crash would."""
        pod = self.core.read_namespaced_pod(name, NAMESPACE)
        self.send(containers.container_id(pod), "SIGKILL")

    def kill_keeper(self):
        """End what makes pods of Jobs and Deployments, and wait until it is back."""

        def keeper():
            return containers.newest(self.core, "kube-system", f"component={KEEPER}")

        old = self.send(keeper(), "SIGKILL")
        wait_until(lambda: keeper() not in (None, old), BACK_S, f"{KEEPER} is gone")

    def wait_until_back(self, service, old):
        """Wait until a service is ready again in another container."""

        def restarted():
            return self.state(service) == "ready" and self.instance(service) not in (None, old)

        wait_until(restarted, BACK_S, lambda: f"{service} is not back: {self.stack.runtime.status()}")
