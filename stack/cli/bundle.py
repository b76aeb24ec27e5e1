"""
``./baton bundle``: what somebody needs to understand a fault, in one archive, without the secrets whose form is known.

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
from stack.cli.os_errors import require_writable
from stack.cli.stack import Mode, Stack
from stack.cli.status import snapshot
from stack.cli.version import versions
from stack.environment import ROOT, inherited
from stack.logs import last_lines
from stack.preflight import Check

LAST_ERROR = ROOT / ".baton" / "last-error.log"
ANSWER_S = 30
HIDDEN = "[hidden]"
LONGEST = 2_000  # characters of a line
LOG_LINES = 300
LOG_BYTES = LOG_LINES * LONGEST
POD_LOG_LINES = 100
README = """\
A bundle of Baton, to be attached to a report of a fault.
versions.json     Baton, Python, Java, the system
<mode>/           of each stack that was brought up here, status, settings, doctor and the newest lines of each log
environment.txt   names of the shell's variables that services get; no values
last-error.log    the last unexpected error of a command, if there was one
Passwords, tokens, keys and credentials in addresses are replaced by [hidden] where they have a known form, the home
folder by ~. No list of forms is complete: look through it before you give it away.
"""

_BLANK = r"[^\S\n]{0,8}"
_NAME = (  # the part of a name that tells that its value is a secret; short ones only as a whole word of the name
    r"(?:(?:passw(?:or)?d|passphrase|pwd|secret|token|credential|(?:api|access|private)[_-]?key)[\w.-]{0,64}"
    r"|(?:pass|(?<![a-z])pw|(?<![a-z])auth)(?![a-z]))"
)
_VALUE = r"""(?:\\?"(?:[^"\\]|\\.)*"?|\\?'(?:[^'\\]|\\.)*'?|\[[^\]]*\]?|\{[^}]*\}?|[^\s,;&"'}]+)"""
_FORMS = (  # a pattern, and what stands there instead
    (r"(?s)-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(-----END [A-Z ]*PRIVATE KEY-----|\Z)", HIDDEN),
    (r"\b([a-z][a-z0-9+.-]{0,31}://)[^\s\"']*@", rf"\1{HIDDEN}@"),
    (r"(?<![\w.%+-])[\w.%+-]{1,64}:(?!//)[^\s\"']{1,128}@(?=\w)", f"{HIDDEN}@"),
    (r"\b(authorization|proxy-authorization|cookie|set-cookie)(\"?\s*[:=]\s*).+", rf"\1\2{HIDDEN}"),
    (r"\b(bearer|basic)(\s+)[\w.~+/=-]{8,}", rf"\1\2{HIDDEN}"),
    (rf"((?<!\S)--?[\w-]{{0,64}}?{_NAME}\s+)(?!-)\S+", rf"\1{HIDDEN}"),
    (rf"({_NAME}(?:\\?[\"'])?{_BLANK}[:=]{_BLANK}){_VALUE}", rf"\1{HIDDEN}"),
    (r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b|\bAIza[\w-]{30,}|\beyJ[\w-]{8,}\.[\w-]+\.[\w-]*", HIDDEN),
    (r"\b(?:gh[pousr]_|github_pat_|hf_|glpat-|sk-|xox[abpr]-)[\w-]{10,}", HIDDEN),
)
SECRETS = [(re.compile(pattern, re.IGNORECASE), shown) for pattern, shown in _FORMS]


def scrub(text: str) -> str:
    """``text`` without secrets in the forms known here, without the home folder's name, its long lines cut."""
    text = "\n".join(line if len(line) <= LONGEST else f"{line[:LONGEST]} ..." for line in text.split("\n"))
    for pattern, shown in SECRETS:
        text = pattern.sub(shown, text)
    home = str(Path.home())
    return text.replace(home, "~") if len(home) > 1 else text


def write(target: Path) -> Path:
    """Write the archive to ``target``; raise BatonError, before anything is asked, when that cannot be written."""
    require_writable(target)
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
    """The newest lines of each log on this machine."""
    files = sorted((stack.state / "logs").glob("*.log"))
    return {f"{stack.mode}/logs/{file.name}": "\n".join(last_lines(file, LOG_LINES, LOG_BYTES)) for file in files}


def keep_error(error: BaseException) -> None:
    """Keep the traceback of an unexpected error for the next bundle; a folder that refuses it is no second error."""
    try:
        LAST_ERROR.parent.mkdir(exist_ok=True)
        LAST_ERROR.write_text("".join(traceback.format_exception(error)))
    except OSError:
        return
