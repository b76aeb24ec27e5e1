"""``./baton env``: the lines that turn a person's shell into one in which an app runs as under the supervisor."""

import shlex
from collections.abc import Mapping

from stack.environment import HARMFUL, SERVICES


def script(environment: Mapping[str, str]) -> str:
    """
    Lines for ``eval`` in any POSIX shell: take out what would change an app, then set ``environment``.

    The shell itself looks for what to take out: what this process sees of it is cleaned already.
    """
    names = f"env | sed -n -E 's/^(({'|'.join(HARMFUL)})[A-Za-z0-9_]*)=.*/\\1/p'"
    lines = [  # names are read line by line: how a shell splits words is its own (IFS)
        'while IFS= read -r baton_name; do case $baton_name in ?*) unset "$baton_name" ;; esac; done <<END_OF_NAMES',
        f"$({names})",
        "END_OF_NAMES",
        "unset baton_name",
    ]
    if absent := [name for name in SERVICES if name not in environment]:
        lines.append(f"unset {' '.join(absent)}")
    return "\n".join([*lines, *(f"export {name}={shlex.quote(value)}" for name, value in sorted(environment.items()))])
