"""
One run of all checks, as a table and an exit code.

The exit codes are the prover's: 0 passed, 1 failed, 2 unknown, 64 a wrong command line.
"""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from rich.table import Table

from apps.common.errors import SettingsError, Unavailable
from stack.cli.conform.checks import CHECKS, ProtocolCheck
from stack.cli.conform.exchange import Deviation, Endpoint, NotOffered
from stack.cli.conform.subject import Subject, found
from stack.cli.console import err, out, show
from stack.cli.help import WRONG_COMMAND_LINE

PASSED, FAILED, UNKNOWN = 0, 1, 2


class Conformance(StrEnum):
    """What came of a check."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_OFFERED = "not offered"


MARKS = {Conformance.PASSED: "✓", Conformance.FAILED: "✗", Conformance.NOT_OFFERED: "-"}


@dataclass(frozen=True)
class CheckOutcome:
    """What came of a check, what was got, and the source that wants it so, or something else."""

    name: str
    source: str
    outcome: Conformance
    got: str


def run(url: str, model: str, file: Path | None, *, as_json: bool) -> int:
    """Check a server, and show what came of it; return the exit code."""
    try:
        subject = found(Endpoint(url), model, _body(file))
        findings = look(subject)
    except SettingsError as error:
        return _told(error, WRONG_COMMAND_LINE)
    except Unavailable as error:
        return _told(error, UNKNOWN)
    counts = Counter(finding.outcome for finding in findings)
    if as_json:
        print(json.dumps(_as_json(subject, findings, counts), indent=1))
    else:
        _show(subject, findings, counts)
    return FAILED if counts[Conformance.FAILED] else PASSED


def look(subject: Subject, checks: Sequence[ProtocolCheck] = CHECKS) -> list[CheckOutcome]:
    """What came of each check; raises Unavailable when the server takes too long for all of them."""
    return [_outcome(check, subject) for check in checks]


def _outcome(check: ProtocolCheck, subject: Subject) -> CheckOutcome:
    try:
        return CheckOutcome(check.name, check.source, Conformance.PASSED, check.does(subject))
    except NotOffered as reason:
        return CheckOutcome(check.name, check.source, Conformance.NOT_OFFERED, str(reason))
    except Deviation as deviation:
        return CheckOutcome(check.name, deviation.source or check.source, Conformance.FAILED, str(deviation))


def _body(file: Path | None) -> Any:
    """What --input says; None without it."""
    if file is None:
        return None
    try:
        return json.loads(file.read_bytes())
    except (OSError, ValueError) as error:
        raise SettingsError(f"--input must be a file with JSON; got {file}: {error}; see docs/clients.md") from error


def _told(error: Exception, code: int) -> int:
    err.print("error: ", style="red", end="")
    err.print(str(error))
    return code


def _as_json(subject: Subject, findings: Sequence[CheckOutcome], counts: Counter[Conformance]) -> dict[str, Any]:
    return {
        "url": subject.endpoint.url,
        "model": subject.model,
        "server": dict(subject.server),
        "requests": subject.endpoint.requests,
        **{outcome.replace(" ", "_"): counts[outcome] for outcome in Conformance},
        "checks": [asdict(one) for one in findings],
    }


def _show(subject: Subject, findings: Sequence[CheckOutcome], counts: Counter[Conformance]) -> None:
    table = Table("", "check", "of", "got", box=None)
    for one in findings:
        table.add_row(MARKS[one.outcome], one.name, one.source, one.got)
    show(table)
    told = ", ".join(f"{counts[outcome]} {outcome}" for outcome in Conformance)
    name = f"{subject.server.get('name', 'no name')} {subject.server.get('version', '')}".strip()
    out.print(f"{subject.model} of {name}: {told}; {subject.endpoint.requests} requests")
