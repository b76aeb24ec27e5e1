"""Where the outcome of a demo goes, and that its stack goes with it however it is ended."""

import os
import pty
import re
import signal
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import pytest

from apps.common.batches import Batch
from apps.common.errors import BatonError
from apps.common.registry import PROMOTION, Version
from apps.common.waiting import wait_until
from loadtest.report import Timeline
from stack.cli import demo as demo_module
from stack.cli.demo import Outputs, require_free_ports
from stack.cli.pipeline import Withheld
from stack.cli.stack import Mode, Stack
from stack.embedded.process import MARK
from stack.environment import ROOT, inherited
from tests.unit.sample_run import run

DEMO = """
import os, sys, time
from pathlib import Path
from stack.cli import demo, interruption, stack

folder, terminal = Path(sys.argv[1]), sys.argv[2]
for number in (1, 2) if terminal else ():  # opened by the leader of a session it becomes the session's terminal
    os.dup2(os.open(terminal, os.O_RDWR), number)


class Runtime:
    def wipe(self):
        if (folder / "up").exists():
            (folder / "ending").touch()
            while not (folder / "go on").exists():
                time.sleep(0.01)
            (folder / "ended").touch()

    def running(self):
        return False


stack.ROOT = folder
stack.Stack.runtime = Runtime()
stack.Stack.up = lambda *_, **__: (folder / "up").touch()
interruption.catch()
with demo.stack_of_its_own("demo", "used_cars", None):
    time.sleep(60)
"""


@pytest.mark.parametrize(
    ("told", "name"),
    [
        ({}, None),
        ({"BATON_KAFKA": "broker:9092"}, "demo-used-cars"),
        ({"BATON_KAFKA": "broker:9092", "BATON_STACK": "mine"}, "mine"),
    ],
)
def test_on_a_persons_kafka_a_demo_has_a_name_of_its_own(tmp_path, monkeypatch, told, name):
    """The person's own stack, which has the name that all have, may be at work there."""
    given = []
    monkeypatch.setattr("stack.cli.stack.ROOT", tmp_path)
    monkeypatch.setattr(Stack, "runtime", SimpleNamespace(wipe=lambda: None, running=lambda: False))
    monkeypatch.setattr(Stack, "up", lambda *_, **settings: given.append(settings.get("BATON_STACK")))

    with demo_module.stack_of_its_own("demo", "used_cars", None, **told):
        assert [name] == given


def test_a_second_demo_is_refused_and_harms_nothing(demo, tmp_path, monkeypatch):
    """The data that it would wipe is that of the first, which runs."""
    demo()
    monkeypatch.setattr("stack.cli.stack.ROOT", tmp_path)

    with pytest.raises(BatonError, match="must be the only one in this checkout"):
        demo_module.stack_of_its_own("demo", "used_cars", None).__enter__()

    assert not (tmp_path / "ended").exists()


@pytest.fixture
def demo(tmp_path):
    """A demo in a process of its own, whose stack is a file ``up`` and, when it was ended, a file ``ended``."""
    started = []

    def start(terminal=""):
        process = subprocess.Popen(
            [sys.executable, "-c", DEMO, str(tmp_path), terminal],
            cwd=ROOT,
            env=inherited(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        started.append(process)
        wait_until((tmp_path / "up").exists, 60, "the demo must be up")
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()


@pytest.mark.parametrize(
    ("first", "second"),
    [(signal.SIGINT, signal.SIGTERM), (signal.SIGTERM, signal.SIGHUP), (signal.SIGHUP, signal.SIGINT)],
)
def test_a_demo_that_is_ended_twice_still_ends_its_stack(demo, tmp_path, first, second):
    """CI cancels by SIGINT and soon SIGTERM; whatever comes second, what was started is ended before the process is."""
    process = demo()
    process.send_signal(first)
    wait_until((tmp_path / "ending").exists, 30, "the stack must be on its way down")
    process.send_signal(second)
    (tmp_path / "go on").touch()
    process.wait(30)

    assert (tmp_path / "ended").exists()


def test_a_demo_whose_terminal_is_closed_ends_its_stack(demo, tmp_path):
    """A closed window, a lost ssh connection: nothing can be printed any more, and the stack is ended all the same."""
    (tmp_path / "go on").touch()
    mine, its = pty.openpty()
    process = demo(os.ttyname(its))
    os.close(its)
    os.close(mine)
    process.wait(30)

    assert (tmp_path / "ended").exists()


def test_a_stack_that_a_demo_left_behind_is_named_and_ended_by_down(checkout, monkeypatch):
    """A demo that was killed leaves its processes: bench and demo say whose they are, and ./baton down ends them."""
    monkeypatch.setattr("stack.cli.stack.ROOT", checkout.root)
    monkeypatch.setattr("stack.cli.demo.Mode", [Mode.EMBEDDED])
    left = checkout.root / ".baton" / "embedded-demo"
    left.mkdir(parents=True)
    process = subprocess.Popen(["sleep", "300"], env={**inherited(), MARK: str(left)})
    try:
        with pytest.raises(BatonError, match=r"embedded-demo uses them; run ./baton down --mode embedded first"):
            require_free_ports(Stack("bench"))
        require_free_ports(Stack("demo"))  # ends what was there of its own first
        code, _, err = checkout.run("down", "--mode", "embedded")

        assert (0, True) == (code, "down demo" in err)
        assert process.wait(10) != 0
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize(
    ("outputs", "reason"),
    [
        (Outputs(Path("nowhere/report.html")), "got nowhere/report.html: No such file or directory"),
        (Outputs(Path()), "got .: Is a directory"),
        (Outputs(Path("report.html"), json_file=Path("nowhere/figures.json")), "got nowhere/figures.json: "),
        (Outputs(Path("report.html"), picture=Path("report.svg")), "--picture must end in .png; got report.svg"),
    ],
)
def test_a_file_that_cannot_be_written_is_refused_before_the_demo_starts(outputs, reason, tmp_path, monkeypatch):
    """Nobody learns after five minutes that the report had nowhere to go; the question itself leaves no file."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BatonError, match=re.escape(reason)):
        outputs.require_writable()
    assert [] == list(tmp_path.iterdir())


def test_the_question_whether_a_report_can_be_written_changes_none_that_is_there(tmp_path):
    """The report of the demo before stays until there is a new one."""
    report = tmp_path / "report.html"
    report.write_text("the one before")
    Outputs(report).require_writable()

    assert "the one before" == report.read_text()


def test_traffic_says_why_it_failed(tmp_path, monkeypatch, capsys):
    """The exit code is 1, and the sentence that explains it goes to stderr."""

    class Ledger:
        def __init__(self, *_):
            self.watch = lambda _: None
            self.verdict = lambda _: run(lost=3)

        def traffic(self, *_):
            return nullcontext()

    pipeline = SimpleNamespace(require_served=lambda: None, environment={})
    monkeypatch.setattr("stack.cli.demo.LiveLedger", Ledger)
    code = demo_module.traffic(SimpleNamespace(pipeline=lambda: pipeline, state=tmp_path), 50, 1, as_json=True)

    assert 1 == code
    assert "3 not: r597, r598, r599" in capsys.readouterr().err


def test_a_demo_whose_second_version_is_withheld_says_why_and_tells_the_rest(tmp_path, monkeypatch):
    """The report tells the reason, the first version serves on, and the demo fails: nothing was handed over."""
    batches, counts = iter("12"), []

    class WithheldLoop:
        dataset, environment = "used_cars", {}

        def drop_batch(self):
            return Batch(f"b-{next(batches)}", 3, "0" * 64)

        def wait_for_version_trained_on(self, batch, **_):
            if batch.name == "b-2":
                raise Withheld("version 2 must become champion; got: it is worse")
            return "1"

        def wait_until_served(self, version):
            counts.append(version)

        def versions(self):
            tags = [{"batch": "b-1"}, {"batch": "b-2", PROMOTION: "it is worse"}]
            return [Version("m", str(number), "run", told) for number, told in enumerate(tags, 1)]

        def metrics(self, _):
            return {}

        def expected(self, versions):
            counts.append(versions)

    ledger = SimpleNamespace(traffic=lambda _: nullcontext(), verdict=lambda _: run(second="4"))
    monkeypatch.setattr("stack.cli.demo.LiveLedger", lambda *_: ledger)
    monkeypatch.setattr("stack.cli.demo.CALM_S", 0)
    stack = SimpleNamespace(pipeline=WithheldLoop, state=tmp_path, settings={})
    monkeypatch.setattr("stack.cli.demo.stack_of_its_own", lambda *_, **__: nullcontext(stack))

    with pytest.raises(
        BatonError, match="version 2 was not made champion: it is worse\nanswers must come from at least 2"
    ):
        demo_module.run(Mode.EMBEDDED, "used_cars", None, {}, 100, Outputs(tmp_path / "report.html"))

    assert ["1", ["1"]] == counts
    assert "not made champion: it is worse" in (tmp_path / "report.html").read_text()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has /dev/full")
def test_a_report_that_meets_a_full_disk_takes_no_verdict_with_it(monkeypatch, capsys):
    """The disk is filled while the demo runs: the table is printed before any file is written."""
    monkeypatch.setattr("stack.cli.demo.stack_of_its_own", lambda *_, **__: nullcontext())
    monkeypatch.setattr("stack.cli.demo.tell", lambda *_: (run(lost=3), Timeline("used_cars")))
    with pytest.raises(OSError, match="No space left"):
        demo_module.run(Mode.EMBEDDED, "used_cars", None, {}, 100, Outputs(Path("/dev/full")))

    assert re.search(r"missing +3", capsys.readouterr().out)
