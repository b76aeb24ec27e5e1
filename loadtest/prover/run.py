"""
A proof as it is run: traffic, the command in the middle of it, a last quiet phase; all that happens goes into a folder.

Every journal is appended to by one process and flushed at once, so that whatever is killed leaves what it knew.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path

from confluent_kafka import KafkaException, Producer

from apps.common import starter
from apps.common.errors import DeadlineMissed, Unavailable
from apps.common.messages import Position
from apps.common.partitions import ANSWER_S
from apps.common.waiting import pause, wait_until
from loadtest.ledger import LineReader, SendJournal
from loadtest.prover import history
from loadtest.prover.history import ProofEvent
from loadtest.prover.plan import ANSWERS, EVENTS, REQUESTS, SENDS, Plan
from loadtest.prover.recording import PairReader

ROOT = Path(__file__).parent.parent.parent  # what the processes import lies here, wherever it is installed
START_S = 30
STOP_S = 60  # a broker that restarts may hold the last acknowledgements back this long
LINGER_S = 2  # of quiet, when nothing is owed any more: a late repeat is seen, and a request that is read late
LOOK_S = 0.2

NEW_S = 3  # after so long every broker knows a topic that was just made
NAMED = 10  # topics that an error lists
QUIET_CLIENT = {"log_level": 2}  # what it would say of a broker that is not there, the error says once

Say = Callable[[str], None]
_Asked = tuple[str, Position | None]  # a request's id and where it stands


def require_topics(plan: Plan) -> None:
    """Raise BatonError when Kafka does not answer in ANSWER_S seconds, or lacks one of the topics or hides it."""
    client = Producer({**plan.access.librdkafka(), **QUIET_CLIENT})
    there: set[str] = set()

    def missing() -> list[str]:
        there.update(client.list_topics(timeout=ANSWER_S).topics)  # of all: to ask for one may make it
        return [topic for topic in (plan.requests, plan.answers) if topic not in there]

    try:
        with suppress(DeadlineMissed):
            wait_until(lambda: not missing(), NEW_S, "")
    except KafkaException as error:
        remedy = "is it up, is --bootstrap right, and does it want --protocol?"
        raise Unavailable(f"Kafka must answer at {plan.bootstrap}; got {error.args[0].str()}; {remedy}") from error
    if lacking := [topic for topic in (plan.requests, plan.answers) if topic not in there]:
        some = ", ".join(sorted(name for name in there if not name.startswith("__"))[:NAMED]) or "none"
        wanted = " and ".join(lacking)
        raise Unavailable(
            f"Kafka at {plan.bootstrap} must have the topic {wanted}; got {some}; make it, or name another"
        )
    reader = PairReader(plan, "preflight")
    reader.require_readable()  # else every answer would look lost
    reader.close()


class Tally:
    """
    How many requests were acknowledged and answered so far.

    As the judge has it, so that nothing is called lost that was not waited for: what stands in the topic is
    acknowledged, whether or not the client came to know of it, and an answer without our headers is to every place of
    its key.
    """

    def __init__(self, folder: Path) -> None:
        """Nothing was read yet."""
        self._sends = SendJournal(folder / SENDS)
        self._requests = LineReader(folder / REQUESTS)
        self._answers = LineReader(folder / ANSWERS)
        self._acked: set[_Asked] = set()
        self._answered: set[_Asked] = set()
        self._answered_keys: set[str] = set()

    def look(self) -> int:
        """Take in what is new; return how many acknowledged requests are owed an answer."""
        self._acked.update((send.request_id, send.position) for send in self._sends.new() if send.acknowledged)
        for record in map(json.loads, self._requests.new()):
            self._acked.add((record["key"], (record["partition"], record["offset"])))
        for record in map(json.loads, self._answers.new()):
            if "request_id" in record:
                self._answered.add((record["request_id"], (record["in_partition"], record["in_offset"])))
            elif "key" in record:
                self._answered_keys.add(record["key"])
        return self._owed

    @property
    def _owed(self) -> int:
        return sum(key not in self._answered_keys for key, _ in self._acked - self._answered)

    def __str__(self) -> str:
        """The figures."""
        owed = self._owed
        return f"{len(self._acked):,} acknowledged, {len(self._acked) - owed:,} answered, {owed:,} owed"


class Proof:
    """One proof; ``environment`` is the command's, None for that of this process."""

    def __init__(self, plan: Plan, folder: Path, say: Say, environment: Mapping[str, str] | None = None) -> None:
        """``say`` is told, again and again, how far the proof is; ``folder`` holds the plan."""
        self.plan = plan
        self.folder = folder
        self._say = say
        self._environment = environment
        self._tally = Tally(folder)
        self._watched: dict[str, subprocess.Popen[bytes]] = {}
        self._broken = False  # whether one of those was lost

    def run(self) -> None:
        """
        Do it all; raises Unavailable when it cannot begin.

        What goes wrong later, and a KeyboardInterrupt, ends the traffic and becomes an event: the judge says what is
        proven all the same. A second KeyboardInterrupt ends the quiet phase too.
        """
        try:
            if self.plan.http:
                self._post_and_do()
            else:
                self._read_send_and_do()
        except KeyboardInterrupt:
            self._note(history.INTERRUPTED, "before the quiet phase was over")

    def _read_send_and_do(self) -> None:
        with self._process("recording") as reader:
            self._await(lambda: bool(LineReader(self.folder / ANSWERS).new()), "recording")
            self._send_and_do()
            self.be_quiet()
            starter.let_end(reader, STOP_S)
        self._note(history.BROKEN if reader.returncode else history.ENDED, self._tail("recording"))

    def _post_and_do(self) -> None:
        """Who posts reads the answers too, and ends when none can come any more."""
        with self._process("posting") as poster:
            self._do_while_it_sends("posting")
            self._note(history.SENT)
            self._note(history.QUIET)
            self._say("quiet: waiting for the last answers")
            starter.let_end(poster, self.plan.quiet_s + STOP_S)
        self._note(history.BROKEN if poster.returncode else history.ENDED, self._tail("posting"))

    def _do_while_it_sends(self, name: str) -> None:
        self._await(lambda: (self.folder / SENDS).exists() and (self.folder / SENDS).stat().st_size > 0, name)
        self._note(history.SENDING)
        try:
            self._do()
        except KeyboardInterrupt:
            self._note(history.INTERRUPTED, "while requests were sent")

    def _send_and_do(self) -> None:
        with self._process("sending") as sender:
            self._do_while_it_sends("sending")
            self._say("waiting for the last acknowledgements")
            starter.let_end(sender, STOP_S)
        self._note(history.BROKEN if sender.returncode else history.SENT, self._tail("sending"))

    def _do(self) -> None:
        plan = self.plan
        if not plan.command:
            self._watch(plan.seconds, f"{plan.rate:g} requests/s")
            return
        self._watch(plan.before_s, "before the command")
        if self._broken:  # nobody would see what the command does
            return
        with (self.folder / "command.log").open("wb") as log:
            self._note(history.COMMAND, plan.command)
            command = subprocess.Popen(
                ["/bin/sh", "-c", plan.command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environment,
                start_new_session=True,
            )
            try:
                self._watch(
                    plan.command_limit_s, "while the command runs", lambda: command.poll() is not None, to_the_end=True
                )
            finally:
                in_time = command.poll() is not None
                _end_group(command)
                note = "" if in_time else "ended by the prover"
                self._note(history.COMMAND_ENDED, note, exit_code=command.returncode if in_time else None)
        self._watch(plan.after_s, "after the command")

    def be_quiet(self) -> None:
        """Wait until nothing was owed for a moment, at most that moment longer than the plan says."""
        self._note(history.QUIET)
        owed_at = time.monotonic()

        def at_rest() -> bool:
            nonlocal owed_at
            owed_at = time.monotonic() if self._tally.look() else owed_at
            return time.monotonic() - owed_at >= LINGER_S

        self._watch(self.plan.quiet_s + LINGER_S, "quiet", at_rest)

    def _watch(
        self, seconds: float, what: str, over: Callable[[], bool] = lambda: False, *, to_the_end: bool = False
    ) -> None:
        """
        Tell how far it is until ``seconds`` are gone or it is ``over``.

        Without a process of its own it ends at once, but ``to_the_end``: a command may be somebody's deployment.
        """
        end = time.monotonic() + seconds
        while time.monotonic() < end and not over():
            self._see_to_its_own()
            if self._broken and not to_the_end:
                return
            self._tally.look()
            self._say(f"{what}: {self._tally}")
            pause(min(LOOK_S, max(0.0, end - time.monotonic())))

    def _see_to_its_own(self) -> None:
        for name, process in self._watched.items():
            if not self._broken and process.poll() is not None:
                self._broken = True
                self._note(history.BROKEN, f"{name}: {self._tail(name)}")

    def _note(self, kind: str, note: str = "", exit_code: int | None = None) -> None:
        with (self.folder / EVENTS).open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(ProofEvent(kind, time.time(), note, exit_code))) + "\n")

    @contextmanager
    def _process(self, name: str) -> Iterator[subprocess.Popen[bytes]]:
        """A module of the prover, none of the folder we are in, as a process that ends with its standard input."""
        start = f"import runpy, sys; sys.path.insert(0, {str(ROOT)!r}); sys.argv[0] = {name!r}; "
        start += f"runpy.run_module('loadtest.prover.{name}', run_name='__main__', alter_sys=False)"
        with self._log(name).open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-P", "-c", start, str(self.folder)],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._watched[name] = process
        try:
            yield process
        finally:
            starter.let_end(process, STOP_S)
            del self._watched[name]

    def _log(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    def _tail(self, name: str) -> str:
        return self._log(name).read_text(encoding="utf-8", errors="replace").strip()[-1500:]

    def _await(self, condition: Callable[[], bool], name: str) -> None:
        end = time.monotonic() + START_S
        while not condition():
            if self._watched[name].poll() is not None or time.monotonic() > end:
                raise Unavailable(f"{name} must begin within {START_S} s; got:\n{self._tail(name)}\nsee {self.folder}")
            pause(0.02)


def _end_group(command: subprocess.Popen[bytes]) -> None:
    """End a command that runs still, and all that it started."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        if command.poll() is None:
            os.killpg(command.pid, number)
            try:
                command.wait(5)
            except subprocess.TimeoutExpired:
                continue
