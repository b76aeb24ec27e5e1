"""The prover against two servers that know nothing of Baton, on a real broker, through a kill -9 and a restart."""

import json
import os
import shlex
import signal
import subprocess
import sys
import uuid
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    NewPartitions,
    ResourcePatternType,
    ResourceType,
)
from kafka import KafkaAdminClient

from apps.common.waiting import wait_until
from loadtest.prover import cli
from loadtest.prover.history import COMMAND, COMMAND_ENDED, read
from loadtest.prover.judge import judge
from loadtest.prover.plan import ANSWERS, SENDS, VERDICT, Plan
from stack.environment import ROOT, for_program, inherited
from tests.adapters.conftest import with_topics
from tests.secure_broker import PASSWORD, USER, SecureBroker

EXAMPLES = ROOT / "docs" / "examples"
PARTITIONS = 3


class ExampleServer:
    """A server of docs/examples with topics of its own, and the command that kills and restarts it."""

    def __init__(self, kafka, name, folder, run="", python=sys.executable):
        """The topics are made, and nothing runs yet; ``run`` tells those of one test from those of another."""
        self.folder = folder
        self.topics = f"{name}{run}.asked", f"{name}{run}.answered"
        admin = KafkaAdminClient(bootstrap_servers=kafka)
        admin.create_topics({one: {"num_partitions": PARTITIONS, "replication_factor": 1} for one in self.topics})
        admin.close()
        server = str(EXAMPLES / f"server_{name}.py")
        restart = [str(EXAMPLES / "kill-and-restart"), server, kafka, *self.topics]
        self.restart = f"cd {shlex.quote(str(folder))} && PYTHON={shlex.quote(str(python))} {shlex.join(restart)}"
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

    def prove(self, prover, apart_s=3, quiet_s=12):
        """The exit code of a proof through three kills, and its verdict; ``prover`` runs a command line."""
        proof = self.folder / "proof"
        command = f" && sleep {apart_s} && ".join([self.restart] * 3)
        how = ("--rate", "180", "--before", "3", "--after", "4", "--quiet", str(quiet_s), "--allow", "repeats")
        code = prover([*self.asked, *how, "--during", command, "--folder", str(proof)])
        return code, json.loads((proof / VERDICT).read_text())


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The prover's console script, of its wheel in an environment with nothing else."""
    folder = tmp_path_factory.factory.mktemp("installed")  # no console script begins with the suite's odd name
    wheels, environment = folder / "wheels", folder / "environment"
    uv = [str(Path(sys.executable).parent / "uv")]
    build = ["build", "-q", "--wheel", "--no-build-isolation", "--python", sys.executable, "-o", str(wheels)]
    for command in (
        [*uv, *build, str(ROOT / "loadtest")],
        [*uv, "venv", "-q", "--python", sys.executable, str(environment)],
        [*uv, "pip", "install", "-q", "--python", str(environment), "--find-links", str(wheels), "baton-prove"],
    ):
        subprocess.run(command, env=for_program("uv"), check=True)
    return environment / "bin" / "baton-prove"


@pytest.fixture(params=["ours", "installed"])
def prover(request):
    """Runs a command line of the prover, in this checkout or where only its wheel is, and returns its exit code."""
    if request.param == "ours":
        return lambda arguments: cli.main(arguments, environment=inherited())
    script = request.getfixturevalue("installed")
    return lambda arguments: subprocess.run([script, *arguments], env=inherited(), cwd="/", check=False).returncode


def run_of(request):
    """What tells the topics of this test from those of another."""
    return "-installed" if "installed" in request.node.name else ""


def failed(verdict):
    """The numbers of the invariants that failed."""
    return {one["number"] for one in verdict["invariants"] if one["outcome"] == "failed"}


def seen(verdict):
    """How many there were of each kind."""
    return {one["kind"]: one["total"] for one in verdict["seen"]}


def test_a_server_that_commits_before_it_answers_is_caught(kafka, prover, tmp_path, request):
    """Killed with requests in its hands, it loses them: the verdict is failed, and judged again it is the same."""
    with ExampleServer(kafka, "that_loses", tmp_path, run_of(request)).running() as rollout:
        code, verdict = rollout.prove(prover)

    assert (1, "failed", {1, 8}) == (code, verdict["verdict"], failed(verdict))
    assert 0 < seen(verdict)["lost"] < verdict["ledger"]["acked"]
    assert 1 == prover(["check", str(tmp_path / "proof")])


def test_a_server_that_commits_what_it_has_answered_passes(kafka, prover, tmp_path, request):
    """The same kills: nothing is lost; that some was answered twice is seen, and forbidden unless it is allowed."""
    with ExampleServer(kafka, "that_keeps", tmp_path, run_of(request)).running() as rollout:
        code, verdict = rollout.prove(prover)

    assert (0, "passed", set()) == (code, verdict["verdict"], failed(verdict)), verdict
    assert "with 95 % confidence fewer than 1 in" in verdict["sentence"]
    assert verdict["ledger"]["acked"] > 1500
    assert "lost" not in seen(verdict)
    assert 0 == prover(["check", str(tmp_path / "proof")])


@pytest.fixture(scope="module")
def with_quixstreams(tmp_path_factory):
    """The Python of an environment that has quixstreams, as its lock says, and nothing of ours."""
    environment = tmp_path_factory.factory.mktemp("quixstreams") / "environment"
    uv = str(Path(sys.executable).parent / "uv")
    lock = ("--require-hashes", "--index-strategy", "unsafe-best-match", str(EXAMPLES / "quixstreams.lock"))
    for command in (
        [uv, "venv", "-q", "--python", sys.executable, str(environment)],
        [uv, "pip", "sync", "-q", "--python", str(environment), *lock],
    ):
        subprocess.run(command, env=for_program("uv"), check=True)
    return environment / "bin" / "python"


@pytest.mark.long
def test_a_third_partys_server_passes_through_its_restarts(kafka, with_quixstreams, tmp_path):
    """Three times killed by -9, quixstreams loses nothing: it answers again what it had not committed."""
    server, log = ExampleServer(kafka, "with_quixstreams", tmp_path, python=with_quixstreams), tmp_path / "server.log"
    with server.running() as rollout:
        wait_until(lambda: log.exists() and "is now processing" in log.read_text(), 60, log.read_text)
        code, verdict = rollout.prove(cli.main, apart_s=5, quiet_s=60)

    assert (0, "passed", set()) == (code, verdict["verdict"], failed(verdict)), verdict
    assert verdict["ledger"]["acked"] > 2000
    assert "lost" not in seen(verdict)


@pytest.fixture
def topics(kafka):
    """Two topics that nobody serves."""
    names = [f"prover-{uuid.uuid4()}.{end}" for end in ("asked", "answered")]
    admin = KafkaAdminClient(bootstrap_servers=kafka)
    admin.create_topics({name: {"num_partitions": 1, "replication_factor": 1} for name in names})
    admin.close()
    return ["--bootstrap", kafka, "--requests", names[0], "--answers", names[1]]


@contextmanager
def started(folder, *arguments):
    """The prover as a process of its own, once it sends."""
    command = [sys.executable, "-m", "loadtest.prover", *arguments, "--folder", str(folder)]
    process = subprocess.Popen(command, cwd=ROOT, env=inherited(), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        sends = folder / SENDS
        wait_until(lambda: sends.exists() and sends.read_bytes().count(b"\n") > 50, 30, "nothing is sent")
        yield process
    finally:
        process.kill()
        process.communicate()


def test_ctrl_c_ends_the_traffic_and_judges_what_was_sent(kafka, tmp_path):
    """A verdict all the same: what was asked until then was answered."""
    with (
        ExampleServer(kafka, "that_keeps", tmp_path, "-interrupted").running() as rollout,
        started(tmp_path / "proof", *rollout.asked, "--seconds", "600", "--allow", "repeats") as prover,
    ):
        wait_until(lambda: (tmp_path / "proof" / SENDS).read_bytes().count(b"\n") > 150, 30, "too few are sent")
        prover.send_signal(signal.SIGINT)
        out, err = prover.communicate(timeout=60)

    assert (0, True) == (prover.returncode, out.startswith(b"PASSED: 0 of ")), out + err


def test_ctrl_c_in_the_middle_of_the_command_is_unknown(topics, tmp_path):
    """The command is ended with what it started, and nobody knows what it would have shown."""
    begun = tmp_path / "begun"
    command = f"touch {shlex.quote(str(begun))}; sleep 600 & wait"
    with started(
        tmp_path / "proof", *topics, "--before", "1", "--quiet", "1", "--allow", "lost", "--during", command
    ) as prover:
        wait_until(begun.exists, 30, "the command does not run")
        prover.send_signal(signal.SIGINT)
        prover.communicate(timeout=60)

    interrupted = {one.kind for one in read(tmp_path / "proof").events}
    assert {"interrupted", "command-ended", "ended"} <= interrupted
    assert not [one for one in psutil.process_iter(["cmdline"]) if one.info["cmdline"] == ["sleep", "600"]]


def test_the_journals_survive_a_prover_that_is_killed(topics, tmp_path):
    """Kill -9: its processes end with it, and what they knew is judged: unknown, with what was sent."""
    with started(tmp_path / "proof", *topics, "--seconds", "600", "--rate", "200") as prover:
        children = psutil.Process(prover.pid).children()
        prover.kill()
        wait_until(lambda: not [one for one in children if one.is_running()], 60, lambda: str(children))

    recorded = read(tmp_path / "proof")
    assert len(children) == 2
    assert len(recorded.sends) == len(recorded.owed()) > 50
    assert {send.request_id for send in recorded.sends if send.acknowledged} == {r.key for r in recorded.requests}
    assert not recorded.complete
    invariants = {one.number: one.outcome for one in judge(recorded).invariants}
    assert ("unknown", "unknown") == (invariants[1], invariants[8])


def own_process(prover, name):
    """The prover's recording or sending process."""
    children = psutil.Process(prover.pid).children()
    return next(one for one in children if f"loadtest.prover.{name}" in str(one.cmdline()))


@pytest.mark.parametrize("name", ["recording", "sending"])
def test_a_prover_that_loses_a_process_of_its_own_says_unknown(topics, tmp_path, name):
    """It ends at once, with 2: no server is blamed for what nobody read or wrote down."""
    with started(tmp_path / "proof", *topics, "--seconds", "600") as prover:
        own_process(prover, name).kill()
        out, err = prover.communicate(timeout=90)

    assert 2 == prover.returncode, out + err
    assert b"UNKNOWN: " in out
    assert f"the prover's own process ended: {name}" in out.decode()


def test_a_command_is_not_started_once_a_process_of_the_prover_is_gone(topics, tmp_path):
    """Nobody would see what it does."""
    begun = tmp_path / "begun"
    command = f"touch {shlex.quote(str(begun))}"
    with started(tmp_path / "proof", *topics, "--before", "30", "--during", command) as prover:
        own_process(prover, "recording").kill()
        out, err = prover.communicate(timeout=90)

    assert (2, False) == (prover.returncode, begun.exists()), out + err
    assert COMMAND not in {one.kind for one in read(tmp_path / "proof").events}


def test_a_command_that_runs_is_left_to_end_when_a_process_of_the_prover_is_gone(topics, tmp_path):
    """It may be somebody's deployment."""
    begun, done = tmp_path / "begun", tmp_path / "done"
    command = f"touch {shlex.quote(str(begun))}; sleep 4; touch {shlex.quote(str(done))}"
    with started(tmp_path / "proof", *topics, "--before", "0.1", "--during", command) as prover:
        wait_until(begun.exists, 30, "the command does not run")
        own_process(prover, "sending").kill()
        out, err = prover.communicate(timeout=90)

    ended = next(one for one in read(tmp_path / "proof").events if one.kind == COMMAND_ENDED)
    assert (2, True, 0) == (prover.returncode, done.exists(), ended.exit_code), out + err


def test_a_topic_that_is_missing_is_named_with_those_that_are_there(kafka, tmp_path, capsys):
    """And none is made."""
    asked = ["--bootstrap", kafka, "--requests", "never-made", "--answers", "baton.predictions"]

    assert cli.OWN_FAILURE == cli.main([*asked, "--folder", str(tmp_path / "proof")])
    told = capsys.readouterr().err
    assert f"Kafka at {kafka} must have the topic never-made; got " in told
    assert "baton.prediction-requests" in told
    assert not (tmp_path / "proof").exists()


class ForbiddingBroker(SecureBroker):
    """It lets its user do only what is allowed, and its own everything."""

    def prepare(self):
        """Write its configuration with an authorizer."""
        super().prepare()
        with (self.spec.folder / "server.properties").open("a") as file:
            file.write("authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer\n")
            file.write("super.users=User:ANONYMOUS\n")

    def allow(self, topic, *operations):
        """Let its user do that with a topic."""
        rights = [
            AclBinding(
                ResourceType.TOPIC,
                topic,
                ResourcePatternType.LITERAL,
                f"User:{USER}",
                "*",
                one,
                AclPermissionType.ALLOW,
            )
            for one in operations
        ]
        admin = AdminClient({"bootstrap.servers": self.address})
        for done in admin.create_acls(rights).values():
            done.result(20)


def test_a_topic_that_may_not_be_read_is_named_before_anything_is_sent(tmp_path, capsys):
    """Unread answers would look lost; with the right to read both topics, and no group, all of a proof is done."""
    with with_topics(ForbiddingBroker(tmp_path)) as broker:
        broker.add_user()
        broker.allow("baton.outcomes", AclOperation.READ, AclOperation.WRITE)
        broker.allow("baton.predictions", AclOperation.DESCRIBE)
        access, proof = broker.access, tmp_path / "proof"
        asked = ["--bootstrap", broker.secure, "--requests", "baton.outcomes", "--answers", "baton.predictions"]
        login = ["--protocol", "SASL_SSL", "--ca", str(access.ca), "--user", access.user]
        rest = ["--password-file", str(access.password_file), "--folder", str(proof), "--seconds", "3", "--quiet", "1"]

        assert cli.OWN_FAILURE == cli.main([*asked, *login, *rest])
        assert "the topic baton.predictions must be readable; got " in capsys.readouterr().err
        assert not proof.exists()
        broker.allow("baton.predictions", AclOperation.READ)
        assert 1 == cli.main([*asked, *login, *rest])  # nobody answers
        assert read(proof).complete
        assert len(read(proof).requests) > 90


def test_what_stands_in_the_topics_at_the_end_is_read_to_the_end(topics, tmp_path):
    """However much the reader has still before it; what a transaction took back, and its marks, are no answers."""
    plan = Plan("prove-end", *topics[1::2])
    plan.write(tmp_path)
    client = {"bootstrap.servers": plan.bootstrap, "linger.ms": 5}
    taken_back = Producer({**client, "transactional.id": topics[3]})
    taken_back.init_transactions(30)
    command = [sys.executable, "-m", "loadtest.prover.recording", str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, cwd=ROOT, env=inherited()) as reader:
        wait_until(lambda: (tmp_path / ANSWERS).exists() and (tmp_path / ANSWERS).read_bytes(), 30, "nothing is read")
        os.kill(reader.pid, signal.SIGSTOP)
        producer = Producer(client)
        for number in range(5_000):
            producer.produce(plan.answers, b"", plan.request_id(number).encode())
        producer.flush(30)
        taken_back.begin_transaction()
        taken_back.produce(plan.answers, b"", plan.request_id(7).encode())
        taken_back.flush(30)
        taken_back.abort_transaction(30)
        reader.stdin.close()
        os.kill(reader.pid, signal.SIGCONT)
        reader.wait(30)

    assert (0, 5_000) == (reader.returncode, len(read(tmp_path).answers))


@pytest.mark.parametrize("at_the_end", [False, True])
def test_what_stands_in_a_partition_that_was_added_is_read(topics, tmp_path, at_the_end):
    """From its beginning: a server may know of it before the prover does."""
    plan = Plan("prove-added", *topics[1::2])
    plan.write(tmp_path)
    command = [sys.executable, "-m", "loadtest.prover.recording", str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, cwd=ROOT, env=inherited()) as reader:
        wait_until(lambda: (tmp_path / ANSWERS).exists() and (tmp_path / ANSWERS).read_bytes(), 30, "nothing is read")
        admin = AdminClient({"bootstrap.servers": plan.bootstrap})
        for done in admin.create_partitions([NewPartitions(topic, 2) for topic in topics[3::2]]).values():
            done.result(20)
        producer = Producer({"bootstrap.servers": plan.bootstrap})
        for topic in (plan.requests, plan.answers):
            producer.produce(topic, b"", plan.request_id(7).encode(), partition=1)
        producer.flush(30)
        if not at_the_end:
            wait_until(lambda: read(tmp_path).answers and read(tmp_path).requests, 30, "they are not read")
        reader.stdin.close()
        reader.wait(30)

    recorded = read(tmp_path)
    assert (0, [1], [1]) == (
        reader.returncode,
        [record.partition for record in recorded.requests],
        [record.partition for record in recorded.answers],
    )


def test_a_broker_that_asks_for_tls_and_a_password_gets_them(tmp_path, capsys):
    """Requests are sent and acknowledged; the password is in no file of the proof."""
    with with_topics(SecureBroker(tmp_path)) as broker:
        broker.add_user()
        access = broker.access
        asked = ["--bootstrap", broker.secure, "--requests", "baton.outcomes", "--answers", "baton.predictions"]
        login = ["--protocol", "SASL_SSL", "--ca", str(access.ca), "--user", access.user]
        proof = tmp_path / "proof"
        rest = ["--password-file", str(access.password_file), "--seconds", "2", "--quiet", "1", "--folder", str(proof)]
        assert 1 == cli.main([*asked, *login, *rest])  # nobody answers

    told = json.loads((proof / VERDICT).read_text())
    assert told["ledger"]["acked"] > 90
    assert PASSWORD not in "".join(file.read_text() for file in proof.iterdir())
