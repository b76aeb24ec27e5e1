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
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from io import TextIOWrapper
from pathlib import Path
from typing import Any, NoReturn, Self

from apps.common.errors import BatonError, SettingsError
from apps.common.kafka_access import SASL
from apps.common.messages import Expected
from loadtest.prover import findings, page
from loadtest.prover.history import read
from loadtest.prover.judge import EXIT_CODES, Judgement, ProofVerdict, judge
from loadtest.prover.plan import EXPECTED, PAGE, PAYLOADS, PLAN, VERDICT, Plan
from loadtest.prover.run import Proof, require_topics
from loadtest.prover.sending import new_run

WRONG_COMMAND_LINE, OWN_FAILURE = 64, 70
INTERRUPTED = 130
RATES = (0.1, 50_000)
LINE_S = 10  # between two lines that tell how far it is, where no terminal can redraw one
LEVELS = ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")
MECHANISMS = ("SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN")
HELP = """\
Prove that a request/answer server on Kafka loses nothing while you restart it.

It sends requests to one topic, runs your command in the middle, reads the answers
from another topic and judges them. The server needs to do one thing: give each
answer the key of its request."""
EXAMPLES = """\
Examples:
  {name} --bootstrap localhost:9092 --requests asked --answers answered \\
      --during "kubectl rollout restart deployment/server && kubectl rollout status deployment/server"
  {name} --bootstrap localhost:9092 --requests asked --answers answered --seconds 30
  {name} check proofs/20261126-101500     judges again what was recorded, without Kafka

Exit codes: 0 passed, 1 failed, 2 unknown, 64 a wrong command line, 70 the prover
could not do its work. Ctrl-C ends the traffic; what was sent is judged. See
docs/prove-your-own-rollout.md."""


Expect = Callable[[list[str]], Iterable[Expected]]


class _Refused(Exception):
    """A wrong command line: every problem of it."""


class _Parser(argparse.ArgumentParser):
    """Raises instead of ending the process with an exit code that means unknown here."""

    def error(self, message: str) -> NoReturn:
        raise _Refused(message)


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
        return _prove(_parser(name, note).parse_args(given), name, environment, expect)
    except SystemExit as ended:  # --help
        return int(ended.code or 0)
    except KeyboardInterrupt:
        _tell("interrupted before anything was sent")
        return INTERRUPTED
    except Exception as error:  # noqa: BLE001 - the edge: no error may pass for a verdict
        return _explained(error, name)


def _explained(error: Exception, name: str) -> int:
    """Say what is wrong; return the exit code that says whose fault it is."""
    if isinstance(error, _Refused | SettingsError):
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
    parser = _Parser(prog=f"{name} check", description="Judge again what was recorded, without Kafka.")
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="that a proof wrote")
    _add_judging(parser)
    _add_output(parser)
    options = parser.parse_args(given)
    folder: Path = options.folder
    try:
        recorded = read(folder)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise _Refused(f"FOLDER must be one that a proof wrote, with {PLAN}; got {folder}: {error}") from error
    changes = {key: value for key, value in _judging(options).items() if value is not None}
    if problems := list(_expected_problems(options.expected)):
        raise _Refused("\n       ".join(problems))
    if options.expected:
        with suppress(shutil.SameFileError):
            shutil.copyfile(options.expected, folder / EXPECTED)
        recorded = read(folder)
    return _tell_verdict(judge(replace(recorded, plan=replace(recorded.plan, **changes))), folder, as_json=options.json)


def _prove(options: argparse.Namespace, name: str, environment: Mapping[str, str] | None, expect: Expect | None) -> int:
    plan = _plan(options)
    folder = (options.folder or Path("proofs") / time.strftime("%Y%m%d-%H%M%S")).absolute()
    if folder.exists() and any(folder.iterdir()):
        raise _Refused(f"--folder must be new or empty; got {folder}")
    require_topics(plan)
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


def _parser(name: str, note: str) -> _Parser:
    parser = _Parser(
        prog=name,
        description=HELP,
        epilog=EXAMPLES.format(name=name) + (f"\n\n{note}" if note else ""),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    where = parser.add_argument_group("where")
    where.add_argument(
        "--bootstrap", metavar="HOST:PORT", required=True, help="Kafka's brokers, with commas between them"
    )
    where.add_argument("--requests", metavar="TOPIC", required=True, help="the topic that the server reads")
    where.add_argument("--answers", metavar="TOPIC", required=True, help="the topic that the server writes")
    what = parser.add_argument_group("what")
    what.add_argument("--rate", type=float, default=50, metavar="N", help="requests a second (50)")
    what.add_argument("--during", default="", metavar="COMMAND", help="run by /bin/sh in the middle of the traffic")
    what.add_argument("--before", type=float, default=5, metavar="S", help="seconds of traffic before the command (5)")
    what.add_argument("--after", type=float, default=10, metavar="S", help="seconds of traffic after it (10)")
    what.add_argument("--timeout", type=float, default=600, metavar="S", help="seconds that the command may take (600)")
    what.add_argument("--seconds", type=float, default=20, metavar="S", help="of traffic, without --during (20)")
    what.add_argument(
        "--quiet", type=float, default=60, metavar="S", help="seconds at most for what is owed at the end (60)"
    )
    what.add_argument("--payloads", type=Path, metavar="FILE", help="what requests say, one a line, again and again")
    what.add_argument("--poison", type=Path, metavar="FILE", help="one request in 100: lines of REASON<TAB>PAYLOAD")
    _add_judging(parser)
    access = parser.add_argument_group("access to Kafka")
    access.add_argument("--protocol", choices=LEVELS, default="PLAINTEXT", help="PLAINTEXT unless given; SSL is TLS")
    access.add_argument("--ca", type=Path, metavar="FILE", help="certificates that vouch for the brokers, as PEM")
    access.add_argument("--mechanism", choices=MECHANISMS, default="SCRAM-SHA-512", help="how the password is shown")
    access.add_argument("--user", default="", help="who Kafka is told that we are")
    access.add_argument("--password-file", type=Path, metavar="FILE", help="that holds the password")
    output = _add_output(parser)
    output.add_argument("--folder", type=Path, help="where all that happens is kept (proofs/DATE-TIME)")
    return parser


def option_names() -> set[str]:
    """Every option of a proof, as it is typed."""
    return {name for action in _parser("", "")._actions for name in action.option_strings}  # noqa: SLF001 - nothing else tells


def _add_judging(parser: _Parser) -> None:
    """What may change when it is judged again."""
    group = parser.add_argument_group("what is forbidden")
    group.add_argument(
        "--allow",
        action="append",
        metavar="KIND",
        help=f"what is seen and not forbidden; repeatable: {', '.join(findings.MEANING)}",
    )
    group.add_argument("--max-silence", type=float, metavar="S", help="the longest time without an answer that was due")
    group.add_argument("--max-latency", type=float, metavar="S", help="the longest that a request may wait")
    group.add_argument("--min-requests", type=int, metavar="N", help="acknowledged at least (100)")
    group.add_argument("--max-unknown", type=float, metavar="SHARE", help="of the requests at most (0.001)")
    group.add_argument("--min-versions", type=int, metavar="N", help="that answers with Baton's headers name at least")
    group.add_argument("--model", help="that answers with Baton's headers must name")
    group.add_argument(
        "--expected", type=Path, metavar="FILE", help="what each version must answer: Baton's rescorer's lines"
    )


def _add_output(parser: _Parser) -> Any:
    group = parser.add_argument_group("output")
    group.add_argument("--json", action="store_true", help="print the verdict as JSON")
    return group


def _judging(options: argparse.Namespace) -> dict[str, Any]:
    allow = [kind for text in options.allow or () for kind in text.split(",")]
    unknown = [kind for kind in allow if kind not in findings.MEANING]
    if unknown:
        raise _Refused(f"--allow must be of {', '.join(findings.MEANING)}; got {', '.join(unknown)}")
    return {
        "allow": tuple(allow) if options.allow else None,
        "max_silence_s": options.max_silence,
        "max_latency_s": options.max_latency,
        "min_requests": options.min_requests,
        "max_unknown": options.max_unknown,
        "min_versions": options.min_versions,
        "model": options.model,
    }


def _plan(options: argparse.Namespace) -> Plan:
    """Raises _Refused with every problem."""
    problems = list(_problems(options))
    if problems:
        raise _Refused("\n       ".join(problems))
    judging = {key: value for key, value in _judging(options).items() if value is not None}
    return Plan(
        run=new_run(),
        bootstrap=options.bootstrap,
        requests=options.requests,
        answers=options.answers,
        rate=options.rate,
        seconds=options.seconds,
        command=options.during,
        before_s=options.before,
        after_s=options.after,
        command_limit_s=options.timeout,
        quiet_s=options.quiet,
        protocol=options.protocol,
        ca=str(options.ca or ""),
        mechanism=options.mechanism,
        user=options.user,
        password_file=str(options.password_file.absolute() if options.password_file else ""),
        poison=tuple(_poison(options.poison)) if options.poison else (),
        **judging,
    )


def _problems(options: argparse.Namespace) -> Any:
    if not RATES[0] <= options.rate <= RATES[1]:
        yield f"--rate must be from {RATES[0]:g} to {RATES[1]:,}; got {options.rate:g}"
    for name in ("before", "after", "timeout", "seconds", "quiet"):
        if (value := getattr(options, name)) < 0:
            yield f"--{name} must be 0 or more seconds; got {value:g}"
    if options.requests == options.answers:
        yield f"--requests and --answers must be two topics; got {options.requests} twice"
    for name in ("payloads", "poison", "ca", "password_file"):
        file = getattr(options, name)
        if file and not file.is_file():
            yield f"--{name.replace('_', '-')} must be a file; got {file}"
    if options.payloads and options.payloads.is_file() and not options.payloads.read_bytes().strip():
        yield f"--payloads must have a line; got the empty {options.payloads}"
    yield from _poison_problems(options.poison)
    yield from _expected_problems(options.expected)
    if options.protocol.startswith(SASL) and not (options.user and options.password_file):
        yield f"--user and --password-file must be given with {options.protocol}"


def _poison_problems(file: Path | None) -> Iterator[str]:
    try:
        if file and file.is_file() and not all(map(all, _poison(file))):
            yield f"--poison must have lines of REASON<TAB>PAYLOAD; got others in {file}"
    except UnicodeDecodeError as error:
        yield f"--poison must be UTF-8; got {file}: {error}"


def _expected_problems(file: Path | None) -> Iterator[str]:
    """Before it is copied: a proof that has none, or others, keeps what it has."""
    try:
        if file and not [Expected.from_json(line) for line in file.read_text(encoding="utf-8").splitlines()]:
            yield f"--expected must be a file with lines of Baton's rescorer; got the empty {file}"
    except (OSError, ValueError, TypeError) as error:
        yield f"--expected must be a file with lines of Baton's rescorer; got {file}: {error}"


def _poison(file: Path) -> list[tuple[str, str]]:
    rows = [line.partition("\t") for line in file.read_text(encoding="utf-8").splitlines()]
    return [(reason, payload) for reason, _, payload in rows] or [("", "")]


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
