"""Runs things in pods: an app in the dropper's, a watcher's tick with its own rights; and brings files to and fro."""

import secrets
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import IO, Any

from kubernetes import client as kubernetes

from apps.common.errors import BatonError, Unavailable
from apps.common.hdfs import CHUNK, Hdfs
from apps.common.waiting import wait_until
from stack.cluster import programs
from stack.cluster.charts import NAMESPACE
from stack.cluster.node import Node
from stack.local_apps import finish

DROPPER = "batch-dropper"
INBOX = "/var/lib/baton/inbox"  # on the dropper's own volume
TICK_S = 120
SLOWEST = 2 * 2**20  # bytes a second of a file that is sent to a pod, or split there, on a slow machine
ABSENT = 404
FILES = "import sys; from apps.common.hdfs import CHUNK, Hdfs; h = Hdfs(sys.argv[1]); "
READ = FILES + "[sys.stdout.buffer.write(c) for c in h.chunks(sys.argv[2])]"
WRITE = FILES + "h.upload(sys.argv[2], iter(lambda: sys.stdin.buffer.read(CHUNK), b''))"


def patience_s(size: int) -> float:
    """How long something may take that goes through ``size`` bytes."""
    return programs.PATIENCE_S + size / SLOWEST


class Pods:
    """The pods of one cluster."""

    def __init__(self, node: Node) -> None:
        """Nothing is asked yet."""
        self.node = node

    def execute(
        self,
        *command: str,
        settings: Mapping[str, str] | None = None,
        stdin: IO[bytes] | None = None,
        deployment: str = DROPPER,
        timeout: float = programs.PATIENCE_S,
    ) -> tuple[int, bytes, bytes]:
        """
        Run a command in the pod of a Deployment with more variables; its exit code, its output, its log.

        It reads the file ``stdin``; raises Unavailable when it takes longer than ``timeout`` seconds.
        """
        variables = [f"{name}={value}" for name, value in (settings or {}).items()]
        inside = self._inside(deployment, interactive=stdin is not None)
        done = programs.attempt("kubectl", *inside, "env", *variables, *command, stdin=stdin, timeout=timeout)
        return done.returncode, done.stdout, done.stderr

    def piped(self, *command: str) -> AbstractContextManager[tuple[IO[bytes], IO[bytes]]]:
        """Run a command in the dropper's pod, as a file to write to and one to read from."""
        return programs.piped("kubectl", *self._inside(DROPPER, interactive=True), *command)

    def _inside(self, deployment: str, *, interactive: bool) -> list[str]:
        """The arguments of kubectl before a command in a pod."""
        how = ["exec", *(["--stdin"] if interactive else []), f"deployment/{deployment}", "--"]
        return [*self.node.access(), "--namespace", NAMESPACE, *how]

    def bring(self, file: Path) -> str:
        """
        Copy a file of this machine to the dropper, as a stream; return its path there.

        It gets the file's own time, by which the dropper knows a source that it has split already; one of that size
        and time is not sent again.
        """
        target = f"{INBOX}/{file.name}"
        status = file.stat()
        size, changed = status.st_size, f"{status.st_mtime_ns // 10**9}.{status.st_mtime_ns % 10**9:09d}"
        quoted, part = shlex.quote(target), shlex.quote(f"{target}.part")
        there = f'[ "$(stat -c "%s %.9Y" {quoted} 2>/dev/null)" = "{size} {changed}" ]'
        write = f"mkdir -p {INBOX} && cat > {part} && touch -d @{changed} {part} && mv {part} {quoted}"
        if not self.execute("sh", "-c", there)[0]:
            return target
        with file.open("rb") as content:
            code, _, said = self.execute("sh", "-c", write, stdin=content, timeout=patience_s(size))
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
        with self._running(READ, path) as (_, output):
            while chunk := output.read(CHUNK):
                yield chunk

    def upload(self, path: str, chunks: Iterable[bytes]) -> None:
        """Write a file."""
        with self._running(WRITE, path) as (pipe, _):
            for chunk in chunks:
                pipe.write(chunk)

    @contextmanager
    def _running(self, script: str, path: str) -> Iterator[tuple[IO[bytes], IO[bytes]]]:
        try:
            with self._pods.piped("python3", "-c", script, self._inside, path) as pipes:
                yield pipes
        except Unavailable as error:
            tail = str(error).splitlines()[-1]
            message = f"HDFS must answer in the pod of {DROPPER}; got {tail} for {path}; is the stack up?"
            raise Unavailable(message) from error
