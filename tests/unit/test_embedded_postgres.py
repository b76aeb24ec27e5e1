"""Which Postgres is taken: one whose programs can call one another, as whoever runs them."""

import os

import pytest

from apps.common.errors import SettingsError
from stack.embedded.services import postgres


@pytest.fixture
def programs(tmp_path, monkeypatch):
    """The only server there is, below a folder that only its owner may enter."""
    folder = tmp_path / "closed" / "15" / "bin"
    folder.mkdir(parents=True)
    for name in ("initdb", "postgres"):
        (folder / name).touch(mode=0o755)
    monkeypatch.setattr(postgres, "DEBIAN", tmp_path / "closed")
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    (tmp_path / "closed").chmod(0o700)
    return folder


@pytest.mark.parametrize(("user", "taken"), [(1000, True), (0, False)])
def test_a_server_that_its_runner_cannot_reach_is_not_taken(programs, monkeypatch, user, taken):
    """Root runs Postgres as another user, who cannot walk through a folder that only root may enter."""
    monkeypatch.setattr(os, "geteuid", lambda: user)

    assert ([programs] if taken else []) == postgres.installed()


def test_no_server_says_what_to_do(programs, monkeypatch):
    """The rule, what was found, and the package that brings one."""
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    with pytest.raises(SettingsError, match="every user may enter when root runs it; got none; apt-get install"):
        postgres.choose(programs / "data")
