"""A ``tilt up`` in the background, asked and told by Tilt's own commands."""

import json
import shutil
import socket
import subprocess
from contextlib import contextmanager

from apps.common.waiting import wait_until
from stack.cluster.node import Node
from stack.environment import ROOT, for_program

TILT = shutil.which("tilt")
CI_S = 1200
BUTTON_S = 600


@contextmanager
def cluster():
    """The cluster that the Tiltfile wants; one that was there before stays."""
    node = Node()
    there = node.container is not None
    node.up(lambda _: None)
    try:
        yield node
    finally:
        if not there:
            node.delete()


def environment(node):
    """A shell in which the README's line was evaluated."""
    return {**for_program("tilt"), **node.shell(), "DO_NOT_TRACK": "1"}


def free_port():
    """A port for Tilt's own server."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class RunningTilt:
    """``tilt up``, until it is told to end."""

    def __init__(self, node, log):
        """It writes to ``log``; its own server gets a free port."""
        self.environment = environment(node)
        self.port = str(free_port())
        self.log = log
        self.process = subprocess.Popen(
            [TILT, "up", "--stream", "--port", self.port],
            cwd=ROOT,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=log.open("wb"),
            stderr=subprocess.STDOUT,
        )

    def end(self):
        """End it as Ctrl-C does; what it deployed stays."""
        self.process.terminate()
        self.process.wait(60)

    def ask(self, *words):
        """What one of its commands prints."""
        command = [TILT, *words, "--port", self.port]
        return subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False)

    def resources(self):
        """Each resource's status by its name."""
        done = self.ask("get", "uiresources", "-o", "json")
        items = json.loads(done.stdout)["items"] if done.returncode == 0 else []
        return {item["metadata"]["name"]: item["status"] for item in items}

    def unready(self):
        """The resources that are not as they should be."""
        found = self.resources()
        states = {name: (status.get("updateStatus"), status.get("runtimeStatus")) for name, status in found.items()}
        return {name: state for name, state in states.items() if not settled(*state)} if found else {"tilt": "starts"}

    def wait_until_ready(self):
        """Wait until everything that starts by itself runs."""
        wait_until(lambda: not self.unready(), CI_S, lambda: f"not ready: {self.unready()}\n{self.tail()}", every=2)

    def press(self, button):
        """Trigger a resource and wait for its end; return its error, nothing when it went well."""
        before = builds(self.resources()[button])
        assert self.ask("trigger", button).returncode == 0

        def ended():
            after = builds(self.resources()[button])
            return after if after and after != before else None

        newest = wait_until(ended, BUTTON_S, lambda: f"{button} did not end\n{self.tail()}", every=1)[0]
        return newest.get("error", "")

    def tail(self):
        """The last lines that it printed."""
        return self.log.read_text(errors="replace")[-3000:]


def settled(update, runtime):
    """Whether a resource is as it should be, or is a button that nobody pressed."""
    good = ("ok", "not_applicable")
    return update == "none" or (update in good and runtime in good)


def builds(status):
    """The builds of a resource that have ended, newest first."""
    return status.get("buildHistory") or []
