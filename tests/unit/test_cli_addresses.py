"""Addresses and places, and what a narrow terminal makes of them."""

import os

import pytest

from stack.cli.addresses import addresses, as_size, used_bytes
from stack.cli.stack import Stack


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0 B"), (1023, "1023 B"), (2048, "2 KiB"), (5 * 2**20, "5 MiB"), (3 * 2**29, "1.5 GiB")]
)
def test_sizes_have_units(size, text):
    """A size is a figure that a person can read."""
    assert text == as_size(size)


def test_disk_space_is_what_the_files_take(tmp_path):
    """Every file counts with its blocks, below folders too; a dangling link and a missing folder count as nothing."""
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "file").write_bytes(os.urandom(100_000))
    (tmp_path / "link").symlink_to(tmp_path / "nothing")

    assert 100_000 <= used_bytes(tmp_path) <= 200_000
    assert 0 == used_bytes(tmp_path / "nothing")


def test_prometheus_is_listed_where_it_runs(monkeypatch):
    """Who has not switched it on is shown no address at which nobody answers."""
    listed = []
    for settings in ({}, {"BATON_PROMETHEUS": "on"}):
        monkeypatch.setattr(Stack, "settings", settings)
        listed.append([one.url for one in addresses(Stack()) if one.name == "Prometheus"])

    assert [[], ["http://127.0.0.1:19090"]] == listed


def test_open_refuses_when_nothing_runs(checkout):
    """A page of a stack that is down is refused with the command that starts it."""
    code, out, err = checkout.run("open", "mlflow")

    assert (1, "") == (code, out)
    assert "mlflow must be up" in err
    assert "./baton up" in err
