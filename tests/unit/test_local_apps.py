"""Programs that are started for a person, from whatever folder the person stands in."""

import pytest

from apps.common.errors import BatonError
from loadtest.traffic import LiveLedger
from stack.cli.load import locust
from stack.environment import ROOT, inherited
from stack.local_apps import LocalApps

STOLEN = "secrets.py"  # a module of Python's own that Kafka's client and locust import


@pytest.fixture
def environment(tmp_path, monkeypatch):
    """An app's, in a folder with a module that says when it runs."""
    (tmp_path / STOLEN).write_text("raise SystemExit('stolen')\n")
    monkeypatch.chdir(tmp_path)
    return inherited() | {"PYTHONPATH": str(ROOT), "BATON_KAFKA": "127.0.0.1:1"}  # where nobody is


def test_no_app_imports_what_lies_where_the_person_stands(environment, tmp_path):
    """It ends by Baton's own words: there is no such job."""
    with pytest.raises(BatonError, match="BATON_JOB must") as refused:
        LocalApps(environment, tmp_path / "logs").run("batch_dropper", {"BATON_JOB": "nothing"})

    assert "stolen" not in str(refused.value)


def test_no_sender_imports_it(environment, tmp_path):
    """The sender of a ledger is such a program, too; a rate below 0 ends it."""
    sender = LiveLedger(environment, tmp_path / "ledger")
    with (
        (sender.folder / "sent.log").open("wb") as log,
        pytest.raises(BatonError, match="the sender must run") as refused,
    ):
        sender._start_sender(-1, 1, sender.folder / "sent.jsonl", log.fileno())  # noqa: SLF001 - it needs no reader

    assert "stolen" not in str(refused.value)


def test_no_load_imports_it(environment, tmp_path):
    """Nor is a configuration of locust's taken from there."""
    (tmp_path / "locust.conf").write_text("nonsense = 1\n")
    with (tmp_path / "log").open("wb") as log, locust(environment, ["--version"], log.fileno()) as process:
        process.wait(60)

    assert (0, False) == (process.returncode, "stolen" in (tmp_path / "log").read_text())
