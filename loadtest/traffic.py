"""
Traffic with a ledger: the real batch dropper replays requests while a reader keeps every answer.

The sender is a process of its own, so that measuring the answers never delays the sending. It ends when its standard
input closes, so it never outlives the program that started it.
"""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from apps.common.errors import DeadlineMissed, Unavailable
from apps.common.messages import Answer, Expected, Send, first_answers
from apps.common.names import StackNames
from apps.common.waiting import pause, wait_until
from loadtest.ledger import SendJournal, Unanswered, Verdict, check
from loadtest.reader import ROOT, AnswerReader

STOP_S = 60  # a broker that restarts may hold the last acknowledgements back this long
SETTLE_S = 60
ANSWERED_BY_S = 60


def start_sender(
    environment: Mapping[str, str], rate: float, seconds: float, journal: Path, log: int
) -> subprocess.Popen[bytes]:
    """
    Start the batch dropper's replay; what it has sent goes to ``journal``, what it says to the file descriptor ``log``.

    It ends when its standard input, a pipe, closes.
    """
    told = {
        "BATON_JOB": "replay",
        "BATON_RATE": str(rate),
        "BATON_SECONDS": str(seconds),
        "BATON_JOURNAL": str(journal),
        "BATON_ENDS_WITH_STDIN": "1",
    }
    return subprocess.Popen(
        [sys.executable, "-m", "apps.batch_dropper"],
        cwd=ROOT,
        env={**environment, **told},
        stdin=subprocess.PIPE,
        stdout=log,
        stderr=log,
        start_new_session=True,
    )


class LiveLedger:
    """What was sent, acknowledged and answered so far, over one or several bouts of traffic."""

    def __init__(self, environment: Mapping[str, str], folder: Path) -> None:
        """``environment`` is the apps'; journals and logs go to ``folder``."""
        self.environment = dict(environment)
        self.folder = folder
        self.folder.mkdir(parents=True, exist_ok=True)
        self._journals: list[SendJournal] = []
        self._sends: list[Send] = []
        self._acknowledged = 0
        self._answers: list[Answer] = []
        self._unanswered = Unanswered()
        self._reader: AnswerReader | None = None
        self._taken = 0  # answers of that reader
        self._sender: subprocess.Popen[bytes] | None = None

    @contextmanager
    def traffic(self, rate: float, seconds: float = 0, settle: float = SETTLE_S) -> Iterator["LiveLedger"]:
        """
        Send ``rate`` requests per second while the block runs, and at most for ``seconds`` when that is not 0.

        Afterwards waits at most ``settle`` seconds for the answers still owed; it is ``missing`` that judges. Raises
        Unavailable when the sender did not end well: what it sent last is in no journal then.
        """
        journal = self.folder / f"sent-{len(self._journals) + 1}.jsonl"
        self._journals.append(SendJournal(journal))
        self._reader, self._taken = AnswerReader(self.environment), 0
        self._reader.start()
        try:
            with journal.with_suffix(".log").open("wb") as log:
                sender = self._start_sender(rate, seconds, journal, log.fileno())
                try:
                    self._sender = sender
                    yield self
                finally:
                    _stop(sender)
            if sender.returncode:
                raise Unavailable(f"the sender must end well; {_how_it_ended(sender, journal)}")
            self._settle(settle)
        finally:
            self._reader.stop()
            self._catch_up()
            self._reader = None

    def _catch_up(self) -> None:
        """Take in what was sent and answered since the last time: a long run is looked at each second."""
        sends = [send for journal in self._journals for send in journal.new()]
        answers = self._reader.answers(self._taken) if self._reader else []
        self._taken += len(answers)
        self._sends += sends
        self._acknowledged += sum(send.acknowledged for send in sends)
        self._answers += answers
        self._unanswered.note(sends, answers)

    def watch(self, show: Callable[[str], None]) -> None:
        """Show how many were sent and answered, each second, until the sender ends."""
        while self._sender is not None and self._sender.poll() is None:
            show(self.progress())
            pause(1)

    def progress(self) -> str:
        """How many were acknowledged and answered so far."""
        self._catch_up()
        unanswered = len(self._unanswered.ids)
        return f"{self._acknowledged:,} acknowledged, {self._acknowledged - unanswered:,} answered"

    def _start_sender(self, rate: float, seconds: float, journal: Path, log: int) -> subprocess.Popen[bytes]:
        sender = start_sender(self.environment, rate, seconds, journal, log)

        def sending() -> bool:
            if sender.poll() is not None:
                raise Unavailable(f"the sender must run; {_how_it_ended(sender, journal)}")
            return journal.exists() and journal.stat().st_size > 0

        try:
            wait_until(sending, 90, "nothing was sent; see " + str(journal.with_suffix(".log")))
        except BaseException:
            _stop(sender)
            raise
        return sender

    def _settle(self, seconds: float) -> None:
        try:
            wait_until(lambda: not self.missing(), seconds, "requests are still unanswered", every=1)
        except DeadlineMissed:
            return

    def sends(self) -> list[Send]:
        """Every request sent, with its acknowledgement."""
        self._catch_up()
        return list(self._sends)

    def answers(self) -> list[Answer]:
        """Every answer seen, in the order they came, repeats and others' too."""
        self._catch_up()
        return list(self._answers)

    def missing(self) -> set[str]:
        """The ids of the requests that were acknowledged and not answered."""
        self._catch_up()
        return set(self._unanswered.ids)

    def versions_seen(self, since: float = 0.0) -> set[str]:
        """The versions of the answers that count, the first ones to what was sent, of those seen ``since`` then."""
        positions = {(send.partition, send.offset) for send in self.sends()}
        counting = (answer for answer in first_answers(self.answers()) if answer.position in positions)
        return {answer.model_version for answer in counting if answer.seen_at >= since}

    def wait_until_answered_by(self, version: str, deadline: float = ANSWERED_BY_S) -> None:
        """Wait, in seconds, for an answer from now on that counts and is of ``version``: its first ones are repeats."""
        since = time.time()

        def described() -> str:
            seen = sorted(self.versions_seen(since))
            return f"version {version} must answer; got answers of {seen}; see the server's log"

        wait_until(lambda: version in self.versions_seen(since), deadline, described)

    def verdict(self, expected: list[Expected], *, executors: bool = False) -> Verdict:
        """The checker's judgement of everything so far; a server with ``executors`` may lose one."""
        return check(self.sends(), self.answers(), expected, executors=executors, model=self._model())

    def _model(self) -> str:
        """The model whose answers are wanted; empty where the environment names no stack, or no dataset."""
        stack, dataset = (self.environment.get(name, "") for name in ("BATON_STACK", "BATON_DATASET"))
        return StackNames(stack, dataset).model if stack and dataset else ""


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End the sender: it flushes what it owes, and is killed when it cannot."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _how_it_ended(sender: subprocess.Popen[bytes], journal: Path) -> str:
    tail = journal.with_suffix(".log").read_text(errors="replace").strip()[-2000:]
    return f"it ended with exit code {sender.returncode}:\n{tail}"


def read_expected(path: Path) -> list[Expected]:
    """Read what the rescorer wrote: one JSON object per line."""
    with path.open() as lines:
        return [Expected.from_json(line) for line in lines]
