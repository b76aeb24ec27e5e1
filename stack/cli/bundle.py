"""
``./baton bundle``: what somebody needs to understand a fault, in one archive, without secrets.

It works when nothing runs and on a stack that is half dead: a part that fails is replaced by the reason.
"""

import io
import json
import re
import tarfile
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path

from stack.cli.deadline import ask_all
from stack.cli.stack import Mode, Stack
from stack.cli.status import snapshot
from stack.cli.version import versions
from stack.environment import ROOT, inherited
from stack.logs import last_lines
from stack.preflight import Check

LAST_ERROR = ROOT / ".baton" / "last-error.log"
ANSWER_S = 30
HIDDEN = "[hidden]"
LOG_LINES = 300
POD_LOG_LINES = 100
README = """\
A bundle of Baton, to be attached to a report of a fault.
versions.json     Baton, Python, Java, the system
<mode>/           of each stack that was brought up here, status, settings, doctor and the newest lines of each log
environment.txt   names of the shell's variables that services get; no values
last-error.log    the last unexpected error of a command, if there was one
Passwords, tokens, keys and credentials in addresses are replaced by [hidden], the home folder by ~.
Look through it before you give it away.
"""

_WORD = r"[\w.-]*(?:passw(?:or)?d|passwd|pwd|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|credential)[\w.-]*"
SECRETS = (
    (re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL), HIDDEN),
    (re.compile(r"\b([a-z][a-z0-9+.-]*://)[^\s/@\"']+@", re.IGNORECASE), rf"\1{HIDDEN}@"),
    (
        re.compile(r"\b(authorization|proxy-authorization|cookie|set-cookie)(\"?\s*[:=]\s*).+", re.IGNORECASE),
        rf"\1\2{HIDDEN}",
    ),
    (re.compile(r"\b(bearer|basic)(\s+)[\w.~+/=-]{8,}", re.IGNORECASE), rf"\1\2{HIDDEN}"),
    (re.compile(rf"({_WORD}[\"']?\s*[:=]\s*)(\"[^\"]*\"|'[^']*'|[^\s,;&\"'}}]+)", re.IGNORECASE), rf"\1{HIDDEN}"),
    (
        re.compile(
            r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b|\bgh[pousr]_\w{20,}|\bxox[abpr]-[\w-]{10,}|\beyJ[\w-]{8,}\.[\w-]+\.[\w-]*"
        ),
        HIDDEN,
    ),
)


def scrub(text: str) -> str:
    """``text`` without what looks like a secret, and without the name of the home folder."""
    for pattern, replacement in SECRETS:
        text = pattern.sub(replacement, text)
    home = str(Path.home())
    return text.replace(home, "~") if len(home) > 1 else text


def write(target: Path) -> Path:
    """Write the archive to ``target``."""
    parts = {"README.txt": README, **_parts()}
    name = target.name.removesuffix(".tar.gz")
    with tarfile.open(target, "w:gz") as archive:
        for path, text in parts.items():
            content = scrub(text).encode()
            member = tarfile.TarInfo(f"{name}/{path}")
            member.size, member.mtime = len(content), int(time.time())
            archive.addfile(member, io.BytesIO(content))
    return target


def default_target() -> Path:
    """A name of its own in the current folder."""
    return Path(time.strftime("baton-bundle-%Y%m%d-%H%M%S.tar.gz"))


def _parts() -> Mapping[str, str]:
    """The content of each file; each is asked for with a deadline, and may fail alone."""
    questions: dict[str, Callable[[], str]] = {
        "versions.json": lambda: json.dumps(versions(), indent=1),
        "environment.txt": lambda: "\n".join(sorted(inherited())),
    }
    if LAST_ERROR.exists():
        questions["last-error.log"] = lambda: LAST_ERROR.read_text(errors="replace")
    for mode in Mode:
        stack = Stack(mode=mode)
        if mode is Mode.EMBEDDED or stack.state.exists():
            questions |= _stack_questions(stack)
    answers, failures = ask_all(questions, ANSWER_S)
    logs: dict[str, str] = {}
    for mode in Mode:
        logs |= _logs(Stack(mode=mode))
    return answers | {name: f"could not be found out: {reason}" for name, reason in failures.items()} | logs


def _stack_questions(stack: Stack) -> dict[str, Callable[[], str]]:
    return {
        f"{stack.mode}/status.json": lambda: json.dumps(snapshot(stack), indent=1),
        f"{stack.mode}/doctor.txt": lambda: "\n".join(map(_checked, stack.runtime.check())),
        f"{stack.mode}/settings.json": lambda: json.dumps(stack.settings, indent=1),
        **({f"{stack.mode}/logs.txt": lambda: _pod_logs(stack)} if stack.mode is Mode.CLUSTER else {}),
    }


def _pod_logs(stack: Stack) -> str:
    lines = stack.runtime.logs("", POD_LOG_LINES, follow=False) if stack.running() else ()
    return "\n".join(f"{service}  {line}" for service, line in lines)


def _checked(check: Check) -> str:
    return f"{'ok ' if check.ok else 'NOT'} {check}"


def _logs(stack: Stack) -> dict[str, str]:
    """The newest lines of each log on this machine, without the first, whose beginning may be cut off."""
    files = sorted((stack.state / "logs").glob("*.log"))
    return {f"{stack.mode}/logs/{file.name}": "\n".join(last_lines(file, LOG_LINES)[1:]) for file in files}


def keep_error(error: BaseException) -> None:
    """Keep the traceback of an unexpected error for the next bundle; a folder that refuses it is no second error."""
    try:
        LAST_ERROR.parent.mkdir(exist_ok=True)
        LAST_ERROR.write_text("".join(traceback.format_exception(error)))
    except OSError:
        return
