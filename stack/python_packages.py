"""
Installs the locked Python packages into the environment of the Python that runs this file, and into no other.

A shell and a person's files may tell pip and uv to install for the user, into some folder, into the system's Python.
Of all that only where packages come from is kept: an index, its certificate, a proxy. The launcher runs this file
before any package is there, so it imports Python's own modules alone.
"""

import ast
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

# What pip calls it, and what uv does.
SOURCES = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "no-index": "UV_NO_INDEX",
    "find-links": "UV_FIND_LINKS",
    "trusted-host": "UV_INSECURE_HOST",
    "cert": "SSL_CERT_FILE",
    "client-cert": "SSL_CLIENT_CERT",
    "proxy": "ALL_PROXY",
}
OF_UV = re.compile(r"UV_.*(INDEX|FIND_LINKS|HOST|CERT|TLS|TIMEOUT|KEYRING|PROXY)")
OF_PIP = re.compile(r"PIP_.*(TIMEOUT|RETRIES|KEYRING)")


def environment(shell: Mapping[str, str], configured: str) -> dict[str, str]:
    """
    The variables for pip and uv: ``shell``'s without what leads elsewhere, and where packages come from told to both.

    ``configured`` is what ``pip config list`` prints. A variable of pip wins over its files, one of uv over pip's.
    """
    kept = {
        name: value
        for name, value in shell.items()
        if not name.startswith(("PIP_", "UV_", "PYTHON")) or OF_UV.match(name) or OF_PIP.match(name)
    }
    for option, value in (_in_files(configured) | _in_variables(shell)).items():
        kept[_variable(option)] = value
        if for_uv := _present(value) if option == "find-links" else value:
            kept.setdefault(SOURCES[option], for_uv)
    return kept | {"PIP_CONFIG_FILE": os.devnull, "UV_NO_CONFIG": "1"}


def _variable(option: str) -> str:
    return f"PIP_{option.replace('-', '_').upper()}"


def _in_variables(shell: Mapping[str, str]) -> dict[str, str]:
    return {option: shell[_variable(option)] for option in SOURCES if shell.get(_variable(option))}


def _in_files(configured: str) -> dict[str, str]:
    """Of pip's files: the part of ``install`` wins over the one of ``global``, which stands before it."""
    found = re.findall(r"^(?:global|install)\.([\w-]+)=(.+)$", configured, re.MULTILINE)
    return {option: " ".join(str(ast.literal_eval(value)).split()) for option, value in found if option in SOURCES}


def _present(links: str) -> str:
    """What uv may be told of pip's ``find-links``: it fails where a folder is missing, which pip does not mind."""
    return ",".join(link for link in links.split() if "://" in link or Path(link).exists())


def configuration(shell: Mapping[str, str]) -> str:
    """What pip's files say, in the words of ``pip config list``."""
    files = {name: value for name, value in shell.items() if not name.startswith("PIP_") or name == "PIP_CONFIG_FILE"}
    pip = [sys.executable, "-I", "-m", "pip", "config", "list"]
    return subprocess.run(pip, env=files, stdout=subprocess.PIPE, text=True, check=True).stdout


def _of_uv(lock: str) -> str:
    """The lines of the lock that belong to uv: its own and the indented ones below it."""
    found = re.search(r"^uv==.*\n(?:[ #].*\n)*", lock, re.MULTILINE)
    if not found:
        raise SystemExit("requirements.lock must pin uv; got no line uv==; lock it anew as its first lines say")
    return found[0]


def install(lock: Path, cache: Path) -> None:
    """Install what ``lock`` names and remove everything else; raises CalledProcessError, its cause being printed."""
    variables = environment(os.environ, configuration(os.environ))  # noqa: TID251 - it runs before the settings can
    own = Path(sys.prefix)
    (own / "uv.lock").write_text(_of_uv(lock.read_text("utf-8")), "utf-8")
    # pip brings uv, checked against its own lines of the lock; uv brings the rest, many times as fast.
    pip = [sys.executable, "-I", "-m", "pip", "install", "-q", "--disable-pip-version-check", "--require-hashes"]
    subprocess.run([*pip, "-r", own / "uv.lock"], env=variables, check=True)
    # With hashes it does not matter which index a package comes from.
    uv = [str(own / "bin" / "uv"), "pip", "sync", "-q", "--require-hashes", "--index-strategy", "unsafe-best-match"]
    where = ["--python", sys.executable, "--cache-dir", str(cache)]
    subprocess.run([*uv, *where, str(lock)], env=variables, check=True)


if __name__ == "__main__":
    try:
        install(Path(sys.argv[1]), Path(sys.argv[2]))
    except subprocess.CalledProcessError as error:
        sys.exit(error.returncode)
    except KeyboardInterrupt:  # ./baton says so
        sys.exit(130)
