"""The prover against two servers that know nothing of Baton, on a real broker, through a kill -9 and a restart."""

import json
import os
import shlex
import signal
import subprocess
import sys
from contextlib import contextmanager, suppress

from kafka import KafkaAdminClient

from loadtest.prover import cli
from loadtest.prover.history import read
from loadtest.prover.plan import VERDICT
from stack.environment import ROOT, inherited

EXAMPLES = ROOT / "docs" / "examples"
PARTITIONS = 3


class Rollout:
    """A server of docs/examples with topics of its own, and the command that kills and restarts it."""

    def __init__(self, kafka, name, folder):
        """The topics are made, and nothing runs yet."""
        self.folder = folder
        self.topics = f"{name}.asked", f"{name}.answered"
        admin = KafkaAdminClient(bootstrap_servers=kafka)
        admin.create_topics({one: {"num_partitions": PARTITIONS, "replication_factor": 1} for one in self.topics})
        admin.close()
        server = str(EXAMPLES / f"server_that_{name}.py")
        restart = [str(EXAMPLES / "kill-and-restart"), server, kafka, *self.topics]
        self.restart = f"cd {shlex.quote(str(folder))} && PYTHON={shlex.quote(sys.executable)} {shlex.join(restart)}"
        self.asked = ["--bootstrap", kafka, "--requests", self.topics[0], "--answers", self.topics[1]]

    @contextmanager
    def running(self):
        """The server while the block runs."""
        subprocess.run(self.restart, shell=True, env=inherited(), check=True)  # noqa: S602 - as the prover does
        try:
            yield self
        finally:
            with suppress(ProcessLookupError):
                os.kill(int((self.folder / "server.pid").read_text()), signal.SIGKILL)

    def prove(self, *more, folder=None):
        """The exit code of a proof through three kills, and its verdict."""
        folder = folder or self.folder / "proof"
        command = f"{self.restart} && sleep 2 && {self.restart} && sleep 2 && {self.restart}"
        times = ("--before", "3", "--after", "4", "--quiet", "20", "--during", command)
        code = cli.main([*self.asked, "--rate", "100", *times, "--folder", str(folder), *more], environment=inherited())
        return code, json.loads((folder / VERDICT).read_text())


def failed(verdict):
    """The numbers of the invariants that failed."""
    return {one["number"] for one in verdict["invariants"] if one["outcome"] == "failed"}


def seen(verdict):
    """How many there were of each kind."""
    return {one["kind"]: one["total"] for one in verdict["seen"]}


def test_a_server_that_commits_before_it_answers_is_caught(kafka, tmp_path):
    """Killed with requests in its hands, it loses them: the verdict is failed, and judged again it is the same."""
    with Rollout(kafka, "loses", tmp_path).running() as rollout:
        code, verdict = rollout.prove("--allow", "repeats")

    assert (1, "failed", {1, 8}) == (code, verdict["verdict"], failed(verdict))
    assert 0 < seen(verdict)["lost"] < verdict["ledger"]["acked"]
    assert 1 == cli.main(["check", str(tmp_path / "proof")])


def test_a_server_that_commits_what_it_has_answered_passes(kafka, tmp_path):
    """The same kills: nothing is lost; that some was answered twice is seen, and forbidden unless it is allowed."""
    with Rollout(kafka, "keeps", tmp_path).running() as rollout:
        code, verdict = rollout.prove("--allow", "repeats")

    assert (0, "passed", set()) == (code, verdict["verdict"], failed(verdict)), verdict
    assert "with 95 % confidence fewer than 1 in" in verdict["sentence"]
    assert verdict["ledger"]["acked"] > 900
    assert "lost" not in seen(verdict)
    assert read(tmp_path / "proof").complete
