"""Runs things in pods: an app in the dropper's, a watcher's tick with its own rights; and brings files to and fro."""

import secrets
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from kubernetes import client as kubernetes

from apps.common.errors import BatonError, Unavailable
from apps.common.hdfs import Hdfs
from apps.common.waiting import wait_until
from stack.cluster import programs
from stack.cluster.charts import NAMESPACE
from stack.cluster.node import Node
from stack.local_apps import finish

DROPPER = "batch-dropper"
INBOX = "/var/lib/baton/inbox"  # on the dropper's own volume
TICK_S = 120
ABSENT = 404
FILES = "import sys; from apps.common.hdfs import CHUNK, Hdfs; h = Hdfs(sys.argv[1]); "
READ = FILES + "[sys.stdout.buffer.write(c) for c in h.chunks(sys.argv[2])]"
WRITE = FILES + "h.upload(sys.argv[2], iter(lambda: sys.stdin.buffer.read(CHUNK), b''))"


class Pods:
    """The pods of one cluster."""

    def __init__(self, node: Node) -> None:
        """Nothing is asked yet."""
        self.node = node

    def execute(
        self, *command: str, settings: Mapping[str, str] | None = None, stdin: bytes = b"", deployment: str = DROPPER
    ) -> tuple[int, bytes, bytes]:
        """Run a command in the pod of a Deployment with more variables; its exit code, its output, its log."""
        variables = [f"{name}={value}" for name, value in (settings or {}).items()]
        where = [
            *self.node.access(),
            "--namespace",
            NAMESPACE,
            "exec",
            "--stdin",
            f"deployment/{deployment}",
            "--",
        ]
        done = programs.attempt("kubectl", *where, "env", *variables, *command, stdin=stdin)
        return done.returncode, done.stdout, done.stderr

    def bring(self, file: Path) -> str:
        """Copy a file of this machine to the dropper; return its path there."""
        target = f"{INBOX}/{file.name}"
        quoted = shlex.quote(target)
        script = f"mkdir -p {INBOX} && cat > {quoted}.part && mv {quoted}.part {quoted}"
        code, _, said = self.execute("sh", "-c", script, stdin=file.read_bytes())
        if code:
            raise Unavailable(f"{file} must reach the pod of {DROPPER}; got {said.decode()[-300:]}; is the stack up?")
        return target

    def tick(self, watcher: str) -> None:
        """
        One tick of a watcher; raises BatonError with its last lines.

        Tilt runs a watcher as a Deployment: then the tick runs in its pod, where the saved edits are.
        """
        api = self.node.api()
        if _exists(kubernetes.AppsV1Api(api).read_namespaced_deployment, watcher):
            command = ["python3", "-m", f"apps.{watcher.replace('-', '_')}"]
            finish(watcher, *self.execute(*command, settings={"BATON_TICK_S": "0"}, deployment=watcher))
        elif cron := _exists(kubernetes.BatchV1Api(api).read_namespaced_cron_job, watcher):
            self._tick_as_job(watcher, cron)
        else:
            raise BatonError(f"{watcher} must be in the cluster; got none; run ./baton up --mode cluster")

    def _tick_as_job(self, watcher: str, cron: Any) -> None:
        batch, core = kubernetes.BatchV1Api(self.node.api()), self.node.core()
        spec = batch.api_client.sanitize_for_serialization(cron.spec.job_template)["spec"]
        for container in spec["template"]["spec"]["containers"]:
            kept = [one for one in container.get("env", []) if not one["name"].startswith("BATON_TICK")]
            container["env"] = kept
        name = f"{watcher}-tick-{secrets.token_hex(3)}"
        spec["ttlSecondsAfterFinished"] = 600
        labels: Any = cron.metadata.labels
        batch.create_namespaced_job(NAMESPACE, {"metadata": {"name": name, "labels": labels}, "spec": spec})

        def ended() -> str | None:
            status = batch.read_namespaced_job(name, NAMESPACE).status
            return "good" if status.succeeded else "bad" if status.failed else None

        if wait_until(ended, TICK_S, f"the tick of {watcher} must end; see kubectl describe job {name}") == "bad":
            pods = core.list_namespaced_pod(NAMESPACE, label_selector=f"job-name={name}").items
            said = core.read_namespaced_pod_log(pods[0].metadata.name, NAMESPACE, tail_lines=15) if pods else ""
            raise BatonError(f"{watcher} ended with an error:\n{said}")


def _exists(read: Callable[[str, str], Any], name: str) -> Any:
    """What the namespace has of that kind and name, or None."""
    try:
        return read(name, NAMESPACE)
    except kubernetes.ApiException as error:
        if error.status != ABSENT:
            raise Unavailable(f"Kubernetes must answer; got {error.status} {error.reason}; try again") from error
        return None


class PodHdfs(Hdfs):
    """
    HDFS from this machine: names by the NameNode's port, contents through the dropper's pod.

    A DataNode tells its clients a name that only pods can reach.
    """

    def __init__(self, url: str, pods: Pods, inside: str) -> None:
        """``url`` is the NameNode's for this machine, ``inside`` for the pods."""
        super().__init__(url)
        self._pods = pods
        self._inside = inside

    def chunks(self, path: str) -> Iterator[bytes]:
        """The content of a file."""
        if not self.exists(path):
            raise FileNotFoundError(path)
        yield self._run(READ, path)

    def upload(self, path: str, chunks: Iterable[bytes]) -> None:
        """Write a file."""
        self._run(WRITE, path, b"".join(chunks))

    def _run(self, script: str, path: str, stdin: bytes = b"") -> bytes:
        code, printed, said = self._pods.execute("python3", "-c", script, self._inside, path, stdin=stdin)
        if code:
            tail = said.decode(errors="replace").strip().splitlines()[-1:]
            raise Unavailable(f"HDFS must answer in the pod of {DROPPER}; got {tail} for {path}; is the stack up?")
        return printed
