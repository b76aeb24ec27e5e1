"""How Spark is told a folder of this machine, whatever characters its path has."""

import shlex
from pathlib import Path


def url(folder: Path) -> str:
    """The URL of a folder; unlike ``Path.as_uri``, because Hadoop takes a ``%20`` for three letters of the name."""
    return f"file://{folder.resolve()}"


def temporary_folder(folder: Path) -> str:
    """The option that makes ``folder`` Java's temporary one, for a list of options that Spark splits into words."""
    return shlex.quote(f"-Djava.io.tmpdir={folder}")
