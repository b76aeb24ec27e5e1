"""
The command line of the prover, installed alone or as ``./baton prove``.

Exit codes: 0 passed, 1 failed, 2 unknown, 64 a wrong command line, 70 the prover could not do its work.
"""

import argparse
import json
import os
import shlex
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from io import TextIOWrapper
from pathlib import Path
from typing import Self

from apps.common.errors import BatonError, SettingsError
from apps.common.messages import Expected
from loadtest.prover import page
from loadtest.prover.history import read
from loadtest.prover.judge import judge
from loadtest.prover.options import (
    Parser,
    WrongCommandLine,
    add_judging,
    add_output,
    command_line,
    expected_problems,
    judging_of,
    plan_of,
)
from loadtest.prover.plan import EXPECTED, PAGE, PAYLOADS, PLAN, VERDICT
from loadtest.prover.posting import require_server
from loadtest.prover.run import Proof, require_topics
from loadtest.prover.verdict import EXIT_CODES, Judgement, ProofVerdict

WRONG_COMMAND_LINE, OWN_FAILURE = 64, 70
INTERRUPTED = 130
LINE_S = 10  # between two lines that tell how far it is, where no terminal can redraw one
Expect = Callable[[list[str]], Iterable[Expected]]


def main(
    arguments: Sequence[str] | None = None,
    name: str = "baton-prove",
    environment: Mapping[str, str] | None = None,
    *,
    note: str = "",
    expect: Expect | None = None,
) -> int:
    """
    Do what ``arguments`` say; return the exit code. ``name`` is how a person calls it, ``note`` ends its help.

    ``environment`` is what the command of --during gets, None for that of this process. ``expect`` is given the
    versions that answered and says what they must answer.
    """
    _mend_streams()
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        if given[:1] == ["check"]:
            return _check(given[1:], name)
        return _prove(command_line(name, note).parse_args(given), name, environment, expect)
    except SystemExit as ended:  # --help
        return int(ended.code or 0)
    except KeyboardInterrupt:
        _tell("interrupted before anything was sent")
        return INTERRUPTED
    except Exception as error:  # noqa: BLE001 - the edge: no error may pass for a verdict
        return _explained(error, name)


def _explained(error: Exception, name: str) -> int:
    """Say what is wrong; return the exit code that says whose fault it is."""
    if isinstance(error, WrongCommandLine | SettingsError):
        _tell(f"error: {error}\nsee {name} --help")
        return WRONG_COMMAND_LINE
    if isinstance(error, BatonError):
        _tell(f"error: {error}")
    else:
        traceback.print_exception(error)
        _tell(f"error: this is a fault of the prover: {type(error).__name__}: {error}")
    return OWN_FAILURE


def console() -> int:
    """The console script: SIGTERM and a closed terminal end it as Ctrl-C does."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup has it so
            signal.signal(number, signal.default_int_handler)
    return main()


def _mend_streams() -> None:
    """What a stream cannot show is replaced, and one that the shell closed leads nowhere."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115 - until this process ends
        elif isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")


def _check(given: Sequence[str], name: str) -> int:
    parser = Parser(prog=f"{name} check", description="Judge again what was recorded, without Kafka.")
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="that a proof wrote")
    add_judging(parser)
    add_output(parser)
    options = parser.parse_args(given)
    folder: Path = options.folder
    try:
        recorded = read(folder)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise WrongCommandLine(f"FOLDER must be one that a proof wrote, with {PLAN}; got {folder}: {error}") from error
    changes = {key: value for key, value in judging_of(options).items() if value is not None}
    if problems := list(expected_problems(options.expected)):
        raise WrongCommandLine("\n       ".join(problems))
    if options.expected:
        with suppress(shutil.SameFileError):
            shutil.copyfile(options.expected, folder / EXPECTED)
        recorded = read(folder)
    return _tell_verdict(judge(replace(recorded, plan=replace(recorded.plan, **changes))), folder, as_json=options.json)


def _prove(options: argparse.Namespace, name: str, environment: Mapping[str, str] | None, expect: Expect | None) -> int:
    plan = plan_of(options)
    folder = (options.folder or Path("proofs") / time.strftime("%Y%m%d-%H%M%S")).absolute()
    if folder.exists() and any(folder.iterdir()):
        raise WrongCommandLine(f"--folder must be new or empty; got {folder}")
    (require_server if plan.http else require_topics)(plan)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    plan.write(folder)
    for given_file, own in ((options.payloads, PAYLOADS), (options.expected, EXPECTED)):
        if given_file:
            shutil.copyfile(given_file, folder / own)
    with _Progress() as progress:
        Proof(plan, folder, progress.show, environment).run()
    try:
        return _tell_verdict(_judged(folder, None if options.expected else expect), folder, as_json=options.json)
    except KeyboardInterrupt:
        _tell(f"interrupted; what was recorded can be judged: {name} check {shlex.quote(str(folder))}")
        return INTERRUPTED


def _judged(folder: Path, expect: Expect | None) -> ProofVerdict:
    verdict = judge(read(folder))
    if expect and verdict.ledger.versions:
        _tell("computing what each version must answer")
        lines = "".join(f"{line.to_json()}\n" for line in expect(list(verdict.ledger.versions)))
        (folder / EXPECTED).write_text(lines, encoding="utf-8")
        verdict = judge(read(folder))
    return verdict


def _tell_verdict(verdict: ProofVerdict, folder: Path, *, as_json: bool) -> int:
    recorded = read(folder)
    (folder / VERDICT).write_text(json.dumps(verdict.to_json(), indent=1) + "\n", encoding="utf-8")
    page.write(verdict, recorded, folder / PAGE)
    if as_json:
        print(json.dumps({**verdict.to_json(), "folder": str(folder)}))
    else:
        print("\n".join(page.lines(verdict)))
        print(f"\n{folder}/{PAGE}")
    return EXIT_CODES[Judgement(verdict.outcome)]


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


class _Progress:
    """One line that is redrawn on a terminal; elsewhere a line now and then, and at each new phase."""

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()
        self._phase, self._at = "", 0.0

    def show(self, text: str) -> None:
        """Tell how far it is."""
        phase, now = text.partition(":")[0], time.monotonic()
        if self._terminal:
            print(f"\r\x1b[K{text[: shutil.get_terminal_size().columns - 1]}", end="", file=sys.stderr, flush=True)
        elif phase != self._phase or now - self._at >= LINE_S:
            _tell(text)
            self._at = now
        self._phase = phase

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._terminal:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
