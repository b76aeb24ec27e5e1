"""The prover against two servers over HTTP that know nothing of Baton, through the restarts that each of them has."""

import json
import os
import shlex
import signal
import ssl
import subprocess
import sys
import threading
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import psutil
import pytest
import requests

from apps.common.waiting import wait_until
from loadtest.prover import cli
from loadtest.prover.plan import PAGE, VERDICT
from stack.environment import HOST, ROOT, inherited
from tests.adapters.conftest import free_port
from tests.secure_broker import write_certificates

EXAMPLES = ROOT / "docs" / "examples"
GRACEFUL = 'kill -TERM "$(cat server.pid)" && sleep 2'


class HttpExample:
    """A server of docs/examples on a port of its own."""

    def __init__(self, name, folder):
        """Nothing runs yet."""
        self.folder, self.port = folder, free_port()
        start = [str(EXAMPLES / "kill-and-restart"), str(EXAMPLES / f"http_server_that_{name}.py"), str(self.port)]
        self.start = f"PYTHON={shlex.quote(sys.executable)} {shlex.join(start)}"
        self.url = f"http://{HOST}:{self.port}/asked"

    def shell(self, command):
        """The command, in its folder."""
        return f"cd {shlex.quote(str(self.folder))} && {command}"

    def answers(self):
        """Whether it does."""
        with suppress(requests.ConnectionError):
            return requests.post(self.url, b"?", timeout=5).ok
        return False

    @contextmanager
    def running(self):
        """The server while the block runs."""
        subprocess.run(self.shell(self.start), shell=True, env=inherited(), check=True)  # noqa: S602 - as the prover does
        try:
            wait_until(self.answers, 30, (self.folder / "server.log").read_text)
            yield self
        finally:
            with suppress(ProcessLookupError):
                os.kill(int((self.folder / "server.pid").read_text()), signal.SIGKILL)

    def prove(self, restart, *more):
        """The exit code of a proof through two restarts, its verdict, and how many there were of each kind."""
        proof = self.folder / "proof"
        command = self.shell(f"{restart} && {restart}")
        how = ("--rate", "100", "--before", "2", "--after", "3", "--quiet", "20", "--during", command)
        code = cli.main(["--http", self.url, *how, "--folder", str(proof), *more], environment=inherited())
        verdict = json.loads((proof / VERDICT).read_text())
        return code, verdict, {one["kind"]: one["total"] for one in verdict["seen"]}


@pytest.mark.parametrize("allowed", [(), ("--allow", "turned-away")], ids=["strict", "turned-away"])
def test_a_server_that_is_killed_loses_what_it_holds(tmp_path, allowed):
    """What it had taken is lost; that it turned requests away before its next life is told apart from that."""
    with HttpExample("loses", tmp_path).running() as server:
        code, verdict, seen = server.prove(f"{server.start} && sleep 2", *allowed)

    assert (1, "failed") == (code, verdict["verdict"])
    assert 0 < seen["lost"] < verdict["ledger"]["acked"]
    assert seen["turned-away"] > 0
    assert ("turned away" in verdict["sentence"]) is not bool(allowed)
    assert server.url in (tmp_path / "proof" / PAGE).read_text()


def test_a_server_that_hands_its_socket_over_passes(tmp_path):
    """Two restarts by SIGTERM: nothing is lost, and nobody turned away."""
    with HttpExample("keeps", tmp_path).running() as server:
        code, verdict, seen = server.prove(GRACEFUL)
        lives = (tmp_path / "server.log").read_text()

    assert (0, "passed") == (code, verdict["verdict"]), (verdict, lives)
    assert {"lost", "turned-away", "unknown"}.isdisjoint(seen)
    assert verdict["ledger"]["acked"] > 800
    assert {2, 3, 4, 5, 6} == {one["number"] for one in verdict["invariants"] if one["outcome"] == "not applicable"}


@pytest.mark.parametrize("known", [True, False], ids=["another command", "nothing but the number is known"])
def test_kill_and_restart_kills_its_own_server_and_no_stranger_with_its_old_number(tmp_path, known):
    """A file of yesterday names whoever has the number today."""
    server = tmp_path / "server.py"
    server.write_text("import time\ntime.sleep(60)\n")
    restart = [str(EXAMPLES / "kill-and-restart"), str(server), "8080"]

    def started():
        subprocess.run(restart, cwd=tmp_path, env={**inherited(), "PYTHON": sys.executable}, check=True)
        return psutil.Process(int((tmp_path / "server.pid").read_text()))

    first = started()
    second = started()
    try:
        wait_until(lambda: not first.is_running() or first.status() == psutil.STATUS_ZOMBIE, 10, "it is killed")
        with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as stranger:
            (tmp_path / "server.pid").write_text(str(stranger.pid))
            known or (tmp_path / "server.args").unlink()
            third = started()
            third.kill()
            lived = stranger.poll() is None
            stranger.kill()
    finally:
        second.kill()

    assert lived
    assert third != second


class AsksToken(BaseHTTPRequestHandler):
    """Answers who has the password, and nobody else."""

    def do_POST(self):
        asked = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200 if self.headers["Authorization"] == "Bearer s3cret" else 401)
        self.send_header("Content-Length", str(len(asked)))
        self.end_headers()
        self.wfile.write(asked)

    def log_message(self, *_):
        """It is not asked for."""


class ManyMayWait(ThreadingHTTPServer):
    """On a busy machine, more than Python's five."""

    request_queue_size = 128


@pytest.fixture
def guarded(tmp_path):
    """The URL of a server that asks for TLS and a password, and the file of its authority."""
    ca, certificate = tmp_path / "ca.pem", tmp_path / "server.pem"
    write_certificates(ca, certificate)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    with ManyMayWait((HOST, 0), AsksToken) as serving:
        serving.socket = context.wrap_socket(serving.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=serving.serve_forever).start()
        yield f"https://{HOST}:{serving.server_port}", str(ca)
        serving.shutdown()


def test_a_server_that_asks_for_tls_and_a_password_gets_them(guarded, tmp_path, capsys):
    """The password is in no file of the proof; a server whose certificate nobody vouches for is asked nothing."""
    (url, ca), headers, proof = guarded, tmp_path / "headers.txt", tmp_path / "proof"
    headers.write_text("Authorization: Bearer s3cret\n")
    told = ["--http", url, "--seconds", "3", "--headers", str(headers), "--folder", str(proof)]

    assert cli.OWN_FAILURE == cli.main(told)
    assert "certificate verify failed" in capsys.readouterr().err
    assert 0 == cli.main([*told, "--ca", ca]), capsys.readouterr().out
    assert "s3cret" not in "".join(file.read_text() for file in proof.iterdir())
