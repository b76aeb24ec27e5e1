"""Postgres for real: every server there is, who can log in to it, and a database that an earlier Baton made."""

import os
from contextlib import closing
from pathlib import Path

import psutil
import psycopg2
import pytest

from apps.common.errors import BatonError
from stack.embedded.services import mlflow, postgres
from tests.adapters.conftest import free_context, running

SERVERS = pytest.mark.parametrize("programs", postgres.installed(), ids=postgres.major)
CAPABILITIES = ("CapPrm", "CapEff", "CapAmb")  # those that a process has, as Linux names them
TO_A_PROGRAM = "COPY (SELECT 1) TO PROGRAM 'true'"


def started(context, programs=None):
    """The server while the block runs."""
    return running(context, {"postgres": postgres.spec(context, programs)})


def address(context, user="mlflow"):
    """Where it is found, as ``user``."""
    return context.service("postgres").address_at("127.0.0.1").replace("mlflow@", f"{user}@")


def ask(context, statement, **how):
    """The rows that MLflow's role gets."""
    own = {"passfile": postgres.passfile(context), **how}
    with closing(psycopg2.connect(address(context), **own)) as connection, connection.cursor() as cursor:
        cursor.execute(statement)
        connection.commit()
        return cursor.fetchall() if cursor.description else []


def capabilities(child):
    """What the process may do beyond its user, as the numbers that Linux shows; none where there is no such thing."""
    status = Path(f"/proc/{child.pid}/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return {line.split()[1] for line in lines if line.startswith(CAPABILITIES)}


def closed_context(folder):
    """A stack whose state only its owner may enter."""
    folder.mkdir(mode=0o700)
    return free_context(folder)


@SERVERS
def test_every_postgres_there_is_works_below_a_folder_only_we_may_enter(tmp_path, programs):
    """Debian's server and the wheel's: made once, started, asked, and started again after kill -9."""
    context = closed_context(tmp_path / "closed")
    with started(context, programs):
        ask(context, "CREATE TABLE kept (a int)")
    with started(context, programs) as children:
        held = capabilities(children["postgres"])

        assert [(0,)] == ask(context, "SELECT count(*) FROM kept")

    assert postgres.major(programs) == (context.state / "postgres" / "data" / "PG_VERSION").read_text().strip()
    assert held <= {"0" * 16}


def test_only_mlflows_role_gets_in_and_it_can_run_no_program(tmp_path):
    """No superuser logs in by any password, nobody without one, and MLflow's role has no way out of its database."""
    context = free_context(tmp_path)
    with started(context):
        own = (postgres.passfile(context)).read_text().strip().rsplit(":", 1)[1]
        for user, password in (("mlflow", ""), ("mlflow", "guessed"), ("postgres", own), ("baton", own)):
            with pytest.raises(psycopg2.OperationalError):
                psycopg2.connect(address(context, user), password=password, passfile="/dev/null")
        for statement in (TO_A_PROGRAM, "COPY (SELECT 1) TO '/tmp/x'", "SELECT pg_read_file('PG_VERSION')"):
            with pytest.raises(psycopg2.errors.InsufficientPrivilege):
                ask(context, statement)
        with pytest.raises(psycopg2.OperationalError, match=r"no pg_hba\.conf entry"):
            ask(context, "SELECT 1", dbname="template1")

        assert [] == ask(context, "CREATE TABLE its_own (a int)")


def test_the_password_is_in_a_file_of_its_owner_alone(tmp_path):
    """It is on no command line, in no environment and in no log; each state folder has another."""
    contexts = [free_context(tmp_path / "one"), free_context(tmp_path / "two")]
    with started(contexts[0]) as children, started(contexts[1]):
        files = [postgres.passfile(context) for context in contexts]
        passwords = [file.read_text().strip().rsplit(":", 1)[1] for file in files]
        process = psutil.Process(children["postgres"].pid)
        seen = [*process.cmdline(), contexts[0].log("postgres").read_text()]
    seen += mlflow.spec(contexts[0]).environment.values()

    assert {0o600} == {file.stat().st_mode & 0o777 for file in files}
    assert all(passwords)
    assert passwords[0] != passwords[1]
    assert not [text for text in seen if passwords[0] in text]


def as_before(context):
    """The database of an earlier Baton: its superuser is called baton, has no password, and owns the tables."""
    data, programs = context.folder("postgres") / "data", postgres.installed()[0]
    data.mkdir(mode=0o700)
    owner = []
    if os.geteuid() == 0:
        os.chown(data, postgres.NOBODY, postgres.NOBODY)
        ids = [f"--reuid={postgres.NOBODY}", f"--regid={postgres.NOBODY}", "--clear-groups"]
        owner = ["setpriv", *ids, "--inh-caps=+dac_override", "--ambient-caps=+dac_override", "--"]
    for first, *more, text in (
        ("initdb", "-U", "baton", "--auth=trust", "--encoding=UTF8", "--locale=C", ""),
        ("postgres", "--single", "-D", str(data), "postgres", "CREATE TABLE runs AS SELECT 7 AS id\n"),
    ):
        place = ["-D", str(data)] if first == "initdb" else []
        context.run("postgres", [*owner, str(programs / first), *place, *more], context.state, text)


def test_a_database_that_anybody_could_enter_is_closed_and_keeps_its_tables(tmp_path):
    """What an earlier Baton made is MLflow's role's from the next start on, and nobody else's."""
    context = free_context(tmp_path)
    as_before(context)
    with started(context):
        assert [(7,)] == ask(context, "SELECT id FROM runs")
        assert [] == ask(context, "ALTER TABLE runs ADD COLUMN more int")
        for user in ("baton", "postgres"):
            with pytest.raises(psycopg2.OperationalError, match=r"no pg_hba\.conf entry"):
                psycopg2.connect(address(context, user))


def test_a_preparation_that_was_killed_is_begun_again(tmp_path):
    """What an interrupted initdb left behind is thrown away; a database without a password file gets one."""
    context = free_context(tmp_path)
    spec = postgres.spec(context)
    half = tmp_path / "postgres" / "unfinished"
    half.mkdir()
    (half / "PG_VERSION").write_text("1")
    spec.prepare()
    postgres.passfile(context).unlink()
    with started(context):
        assert [(1,)] == ask(context, "SELECT 1")

    assert not half.exists()


def test_a_preparation_that_fails_says_so(tmp_path):
    """A statement that the server refuses ends the preparation, and is not taken for done."""
    context = free_context(tmp_path)
    with started(context):
        ask(context, "DROP SCHEMA public")
    postgres.passfile(context).unlink()
    with pytest.raises(BatonError, match=r"postgres: .* must end with 0"):
        postgres.spec(context).prepare()

    assert not postgres.passfile(context).exists()
