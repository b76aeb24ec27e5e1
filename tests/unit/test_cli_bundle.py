"""What a bundle holds, and what it must not."""

import json
import tarfile

import pytest

from stack.cli.bundle import HIDDEN, scrub

SECRETS = [
    "password=hunter2",
    '"db_password": "hunter2"',
    "MY_API_KEY: hunter2",
    "AWS_SECRET_ACCESS_KEY=hunter2/abc",
    "postgresql://baton:hunter2@db:5432/x",
    "https://hunter2@proxy.example:3128",
    "Authorization: Basic hunter2hunter2",
    "header authorization=Bearer hunter2hunter2",
    "Bearer hunter2.hunter2-hunter2",
    "-----BEGIN RSA PRIVATE KEY-----\nhunter2\n-----END RSA PRIVATE KEY-----",
    "token='hunter2'",
    "curl -H 'X-Auth-Token: hunter2'",
    "mysqld --password hunter2",
    "serve --api-token hunter2 --port 1",
    "DB_PASS=hunter2",
    "PGPASS=hunter2",
    "SMTP_PW=hunter2",
    "passphrase: hunter2",
    "auth=hunter2",
    "HTTP_PROXY=user:hunter2@proxy:8080",
    "http://user:pa/hunter2@proxy:3128",
    "postgres://u:p@hunter2@host/db",
    r'{"password": "a\"hunter2"}',
    r'"{\"password\": \"hunter2\"}"',
    '"secret": ["hunter2", "hunter2"]',
    '"credentials": {"user": "hunter2"}',
    "sk-proj-hunter2hunter2hunter2",
    "hf_hunter2hunter2hunter2",
    "glpat-hunter2hunter2-hunter2",
    "github_pat_hunter2hunter2hunter2",
    "AIzahunter2hunter2hunter2hunter2hunter2hunter2",
]
HARMLESS = [
    "2026-01-01 INFO kafka ready in 3.2 s",
    "http://127.0.0.1:15000/health answered 200",
    "the tokenizer split 12 words",
    "keys=() rows=12000 mode=embedded",
    "12 tests passed: 3 by the author: nobody",
    "hadoop.security.authentication=simple",
    "12:30:45,123 INFO 127.0.0.1:19092 answered user@host",
    "./baton up --mode cluster --json",
]


@pytest.mark.parametrize("text", SECRETS)
def test_no_secret_gets_into_a_bundle(text):
    """Passwords, tokens, keys and credentials of addresses are replaced, whatever stands around them."""
    cleaned = scrub(f"before {text} after")

    assert "hunter2" not in cleaned
    assert HIDDEN in cleaned
    assert cleaned.startswith("before ")


@pytest.mark.parametrize("text", HARMLESS)
def test_what_is_no_secret_stays(text):
    """A line without a secret is not touched."""
    assert text == scrub(text)


@pytest.mark.parametrize(
    "line", ["a" * 200_000, "1234567890.-_" * 20_000, "a:" * 100_000, "://" * 70_000, "--pw" * 50_000]
)
def test_a_long_line_is_cut_and_costs_no_time(line):
    """A log may hold a line of any length; its first 2,000 characters are kept, and the next line is whole."""
    first, second = scrub(f"{line}\nthe next one").split("\n")

    assert first.endswith(" ...")
    assert len(first) < 2_010
    assert "the next one" == second


def content(archive):
    """The files of a bundle, by their path below its folder."""
    with tarfile.open(archive) as opened:
        return {
            member.name.partition("/")[2]: opened.extractfile(member).read().decode() for member in opened.getmembers()
        }


def test_a_bundle_of_a_stack_that_is_down_has_all_that_is_known(checkout):
    """Nothing runs: status, doctor, settings, versions, the names of variables and the end of each log are there."""
    state = checkout.keep("embedded")
    (state / "logs").mkdir()
    (state / "logs" / "kafka.log").write_text(f"{'started ' * 10}\n" * 1000 + "password=hunter2\nthe last line\n")
    (state / "logs" / "supervisor.log").write_text("the only line\n")
    code, out, _ = checkout.run("bundle", "--json", HOME=str(checkout.root), MY_TOKEN=f"hunter{2}")
    files = content(checkout.root / json.loads(out)["bundle"])

    assert 0 == code
    assert {"README.txt", "versions.json", "environment.txt", "embedded/status.json"} <= set(files)
    assert "the stack is down" in files["embedded/status.json"]
    assert "Java must be" in files["embedded/doctor.txt"]
    assert files["embedded/logs/kafka.log"].endswith("the last line")
    assert 300 == len(files["embedded/logs/kafka.log"].splitlines())
    assert "the only line" == files["embedded/logs/supervisor.log"]
    assert "HOME" in files["environment.txt"].split()
    assert not [name for name, text in files.items() if "hunter2" in text or str(checkout.root) in text]


def test_an_unexpected_error_names_the_bundle_and_is_in_it(checkout):
    """A fault of Baton's own is one sentence and the command; its traceback is in the bundle, and shown on request."""
    records = checkout.keep("embedded") / "supervisor" / "status.json"
    records.parent.mkdir()
    records.write_text('{"written by": "another program"}')
    code, out, err = checkout.run("reset")
    debugged = checkout.run("reset", BATON_DEBUG="1")
    bundled = checkout.run("bundle", "out.tar.gz")
    files = content(checkout.root / "out.tar.gz")

    assert (1, "") == (code, out)
    assert "this is a fault of Baton: KeyError" in err
    assert err.splitlines()[-1].strip() == "./baton bundle"
    assert "Traceback" not in err
    assert "Traceback" in debugged[2]
    assert 0 == bundled[0]
    assert "Traceback" in files["last-error.log"]
    assert "could not be found out" in files["embedded/doctor.txt"]
