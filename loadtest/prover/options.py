"""
The words of the prover's command line: its options, what is wrong with them, and the plan that they make.

Apart from what they do, so that a help can be read and a command line be judged without Kafka and without a server.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import urlsplit

from apps.common.kafka_access import SASL
from apps.common.messages import Expected
from loadtest.prover import findings
from loadtest.prover.plan import Plan
from loadtest.prover.posting import headers_in, unsendable
from loadtest.prover.sending import new_run

RATES = (0.1, 50_000)
MOST_IN_FLIGHT = 4_096  # each has a thread
KAFKAS = ("bootstrap", "requests", "answers")
OF_KAFKA = ("expected", "model", "min_versions", "user", "password_file")  # and of answers with Baton's headers
LEVELS = ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")
MECHANISMS = ("SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN")
HELP = """\
Prove that a request/answer server on Kafka loses nothing while you restart it.

It sends requests to one topic, runs your command in the middle, reads the answers
from another topic and judges them. The server needs to do one thing: give each
answer the key of its request. With --http it posts to a server without Kafka: an
answer is a response of 2xx."""
EXAMPLES = """\
Examples:
  {name} --bootstrap localhost:9092 --requests asked --answers answered \\
      --during "kubectl rollout restart deployment/server && kubectl rollout status deployment/server"
  {name} --bootstrap localhost:9092 --requests asked --answers answered --seconds 30
  {name} --http http://localhost:8080/predict --during "kubectl rollout restart deployment/server"
  {name} check proofs/20261126-101500     judges again what was recorded, without Kafka

Exit codes: 0 passed, 1 failed, 2 unknown, 64 a wrong command line, 70 the prover
could not do its work. Ctrl-C ends the traffic; what was sent is judged. See
docs/prove-your-own-rollout.md."""


class WrongCommandLine(Exception):
    """A wrong command line: every problem of it."""


class Parser(argparse.ArgumentParser):
    """Raises instead of ending the process with an exit code that means unknown here."""

    def error(self, message: str) -> NoReturn:
        raise WrongCommandLine(message)


def command_line(name: str, note: str) -> Parser:
    parser = Parser(
        prog=name,
        description=HELP,
        epilog=EXAMPLES.format(name=name) + (f"\n\n{note}" if note else ""),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    where = parser.add_argument_group("where")
    where.add_argument("--bootstrap", default="", metavar="HOST:PORT", help="Kafka's brokers, with commas between them")
    where.add_argument("--requests", default="", metavar="TOPIC", help="the topic that the server reads")
    where.add_argument("--answers", default="", metavar="TOPIC", help="the topic that the server writes")
    where.add_argument("--http", default="", metavar="URL", help="instead: where each request is posted to")
    what = parser.add_argument_group("what")
    what.add_argument("--rate", type=float, default=50, metavar="N", help="requests a second (50)")
    what.add_argument("--during", default="", metavar="COMMAND", help="run by /bin/sh in the middle of the traffic")
    what.add_argument("--before", type=float, default=5, metavar="S", help="seconds of traffic before the command (5)")
    what.add_argument("--after", type=float, default=10, metavar="S", help="seconds of traffic after it (10)")
    what.add_argument("--timeout", type=float, default=600, metavar="S", help="seconds that the command may take (600)")
    what.add_argument("--seconds", type=float, default=20, metavar="S", help="of traffic, without --during (20)")
    what.add_argument(
        "--quiet",
        type=float,
        default=60,
        metavar="S",
        help="seconds at most for what is owed at the end, and for each answer over HTTP (60)",
    )
    what.add_argument("--payloads", type=Path, metavar="FILE", help="what requests say, one a line, again and again")
    what.add_argument("--poison", type=Path, metavar="FILE", help="one request in 100: lines of REASON<TAB>PAYLOAD")
    add_judging(parser)
    access = parser.add_argument_group("access to Kafka")
    access.add_argument("--protocol", choices=LEVELS, default="PLAINTEXT", help="PLAINTEXT unless given; SSL is TLS")
    access.add_argument("--ca", type=Path, metavar="FILE", help="certificates that vouch for the server, as PEM")
    access.add_argument("--mechanism", choices=MECHANISMS, default="SCRAM-SHA-512", help="how the password is shown")
    access.add_argument("--user", default="", help="who Kafka is told that we are")
    access.add_argument("--password-file", type=Path, metavar="FILE", help="that holds the password")
    http = parser.add_argument_group("over HTTP")
    http.add_argument("--headers", type=Path, metavar="FILE", help="more headers, as a token: lines of NAME: VALUE")
    http.add_argument("--in-flight", type=int, default=256, metavar="N", help="requests at most at a time (256)")
    output = add_output(parser)
    output.add_argument("--folder", type=Path, help="where all that happens is kept (proofs/DATE-TIME)")
    return parser


def option_names() -> set[str]:
    """Every option of a proof, as it is typed."""
    return {name for action in command_line("", "")._actions for name in action.option_strings}  # noqa: SLF001 - nothing else tells


def add_judging(parser: Parser) -> None:
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


def add_output(parser: Parser) -> Any:
    group = parser.add_argument_group("output")
    group.add_argument("--json", action="store_true", help="print the verdict as JSON")
    return group


def judging_of(options: argparse.Namespace) -> dict[str, Any]:
    allow = [kind for text in options.allow or () for kind in text.split(",")]
    unknown = [kind for kind in allow if kind not in findings.MEANING]
    if unknown:
        raise WrongCommandLine(f"--allow must be of {', '.join(findings.MEANING)}; got {', '.join(unknown)}")
    return {
        "allow": tuple(allow) if options.allow else None,
        "max_silence_s": options.max_silence,
        "max_latency_s": options.max_latency,
        "min_requests": options.min_requests,
        "max_unknown": options.max_unknown,
        "min_versions": options.min_versions,
        "model": options.model,
    }


def plan_of(options: argparse.Namespace) -> Plan:
    """Raises WrongCommandLine with every problem."""
    problems = list(_problems(options))
    if problems:
        raise WrongCommandLine("\n       ".join(problems))
    judging = {key: value for key, value in judging_of(options).items() if value is not None}
    return Plan(
        run=new_run(),
        bootstrap=options.bootstrap,
        requests=options.requests,
        answers=options.answers,
        http=options.http,
        headers=str(options.headers.absolute() if options.headers else ""),
        in_flight=options.in_flight,
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
    yield from _http_problems(options) if options.http else _kafka_problems(options)
    for name in ("payloads", "poison", "ca", "password_file", "headers"):
        file = getattr(options, name)
        if file and not file.is_file():
            yield f"--{name.replace('_', '-')} must be a file; got {file}"
    if options.payloads and options.payloads.is_file() and not options.payloads.read_bytes().strip():
        yield f"--payloads must have a line; got the empty {options.payloads}"
    yield from _poison_problems(options.poison)
    yield from expected_problems(options.expected)


def _kafka_problems(options: argparse.Namespace) -> Iterator[str]:
    if missing := [f"--{name}" for name in KAFKAS if not getattr(options, name)]:
        yield f"--bootstrap, --requests and --answers must be given, or --http; got no {', '.join(missing)}"
    elif options.requests == options.answers:
        yield f"--requests and --answers must be two topics; got {options.requests} twice"
    if options.protocol.startswith(SASL) and not (options.user and options.password_file):
        yield f"--user and --password-file must be given with {options.protocol}"
    if options.headers:
        yield "--headers must be given with --http; got it without"


def _http_problems(options: argparse.Namespace) -> Iterator[str]:
    if given := [name for name in (*KAFKAS, *OF_KAFKA) if getattr(options, name)]:
        names = ", ".join(f"--{name.replace('_', '-')}" for name in given)
        yield f"--http must be without what only Kafka has; got {names}"
    if not _is_url(options.http):
        yield f"--http must be http:// or https://, a host, maybe a port and a path, and no user; got {options.http}"
    elif why := unsendable(options.http, {}):
        yield f"--http must be a URL as it is sent, with %20 for a space; got {options.http}: {why}"
    if not options.quiet:
        yield "--quiet must be more than 0 seconds over HTTP; got 0"
    if not 1 <= options.in_flight <= MOST_IN_FLIGHT:
        yield f"--in-flight must be from 1 to {MOST_IN_FLIGHT:,}; got {options.in_flight:,}"
    if options.headers and options.headers.is_file() and (why := _header_problem(options.headers)):
        yield f"--headers must have lines of NAME: VALUE; got {options.headers}: {why}"


def _header_problem(file: Path) -> str:
    try:
        return unsendable("http://localhost", headers_in(file))
    except (OSError, ValueError) as error:
        return str(error)


def _is_url(text: str) -> bool:
    try:
        url = urlsplit(text)
        port_is_one = url.port is None or url.port > 0
    except ValueError:
        return False
    return url.scheme in ("http", "https") and bool(url.hostname) and port_is_one and url.username is None


def _poison_problems(file: Path | None) -> Iterator[str]:
    try:
        if file and file.is_file() and not all(map(all, _poison(file))):
            yield f"--poison must have lines of REASON<TAB>PAYLOAD; got others in {file}"
    except UnicodeDecodeError as error:
        yield f"--poison must be UTF-8; got {file}: {error}"


def expected_problems(file: Path | None) -> Iterator[str]:
    """Before it is copied: a proof that has none, or others, keeps what it has."""
    try:
        if file and not [Expected.from_json(line) for line in file.read_text(encoding="utf-8").splitlines()]:
            yield f"--expected must be a file with lines of Baton's rescorer; got the empty {file}"
    except (OSError, ValueError, TypeError) as error:
        yield f"--expected must be a file with lines of Baton's rescorer; got {file}: {error}"


def _poison(file: Path) -> list[tuple[str, str]]:
    rows = [line.partition("\t") for line in file.read_text(encoding="utf-8").splitlines()]
    return [(reason, payload) for reason, _, payload in rows] or [("", "")]
